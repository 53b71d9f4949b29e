/** Types of build.mjs for tests written in TypeScript. */
export interface Zoo {
  /** Holds the images, which are qcow2 files that must not be written. */
  readonly folder: string;
  readonly kernelRelease: string;
  /** A tar archive of a system in small. */
  readonly miniTar: string;
  readonly biosLuks: ZooGuest & { readonly passphrase: string };
  readonly uefiLvm: ZooGuest & { readonly olderKernel: string };
}

export interface ZooGuest {
  /** Names in the folder, in the order of the server's disks. */
  readonly images: readonly string[];
  readonly uuids: { readonly root: string; readonly boot: string };
}

export function zoo(options?: { progress?: (line: string) => void }): Promise<Zoo>;
export function zooStatus(): { folder: string; zoo: Zoo | undefined };
