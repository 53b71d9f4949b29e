/** The part of fs-native-extensions that is used here; the package has no types of its own. Its README says what they do. */
declare module 'fs-native-extensions' {
  /** Whether the exclusive lock on the whole file was had. `fd` must be open for writing. @throws fcntl(2)'s other errors. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
