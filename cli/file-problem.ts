/** Why a file cannot be read, in words. */

const words: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EISDIR: 'a folder',
  EACCES: 'a file that you may not read',
  EPERM: 'a file that you may not read',
};

/** undefined for what is no error of a file system; a code that is not among these is shown as it is. */
export function fileProblem(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return words[String(error.code)] ?? String(error.code);
}
