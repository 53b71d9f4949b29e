/**
 * What the host's kernel gets to see of a guest's disks while something is done to them, looked at many times a second:
 * who opens the files, and whether a mount, loop, NBD or device-mapper device comes into being.
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface HostWatch {
  /** Programs that had one of the files open, by name. */
  readonly openers: ReadonlySet<string>;
  /** What was not there when the watching began. */
  readonly appeared: ReadonlySet<string>;
  readonly looks: number;
  stop(): void;
}

const everyMs = 50;

export function watchHost(files: readonly string[]): HostWatch {
  const real = new Set(files.map((file) => realpathSync(file)));
  const before = new Set(kernelDevices(real));
  const watch = { openers: new Set<string>(), appeared: new Set<string>(), looks: 0, stop: () => clearInterval(timer) };
  const look = () => {
    watch.looks += 1;
    for (const program of programsWith(real)) watch.openers.add(program);
    for (const device of kernelDevices(real)) if (!before.has(device)) watch.appeared.add(device);
  };
  const timer = setInterval(look, everyMs);
  return watch;
}

function programsWith(files: ReadonlySet<string>): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => openFiles(pid).some((file) => files.has(file))).map(programOf);
}

const openFiles = (pid: string): string[] =>
  quietly([], () => readdirSync(`/proc/${pid}/fd`)).map((fd) =>
    quietly('', () => readlinkSync(`/proc/${pid}/fd/${fd}`)),
  );

const programOf = (pid: string): string => basename(quietly('(ended)', () => readlinkSync(`/proc/${pid}/exe`)));

/**
 * Mounts of devices and of FUSE, and the block devices that the kernel made of something else: NBD (has a pid while it is
 * connected), device-mapper, and loops over these files. Loops over others' files, and mounts of them, are others' business.
 */
export function kernelDevices(
  files: ReadonlySet<string>,
  { mounts = '/proc/mounts', blocks = '/sys/block' } = {},
): string[] {
  const mounted = readFileSync(mounts, 'utf8')
    .split('\n')
    .filter((line) => /^\/dev\/(?!loop)|^\S+ \S+ fuse/.test(line));
  const made = readdirSync(blocks)
    .sort()
    .flatMap((name) => {
      const fact = (path: string) => quietly(undefined, () => readFileSync(join(blocks, name, path), 'utf8').trim());
      const behind = fact('loop/backing_file');
      const what = behind === undefined ? (fact('pid') ?? fact('dm/name')) : files.has(behind) ? behind : undefined;
      return what === undefined ? [] : [`${name}: ${what}`];
    });
  return [...mounted, ...made];
}

/** Processes and devices go while they are looked at. */
function quietly<T>(otherwise: T, look: () => T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
