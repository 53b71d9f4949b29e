/**
 * Limits for programs that read what a guest wrote, on this host: setrlimit(2) by way of `prlimit` (util-linux), so that a
 * disk that was made for it takes neither all memory nor a processor for ever.
 *
 * Memory is address space: Linux does not enforce RLIMIT_RSS. A limit is therefore far above what the work needs, which
 * reserves more than it touches, and far below what an attack would take.
 */
import { readFileSync } from 'node:fs';
import { formatSize } from '../model/durations';
import { OperatorError } from '../model/errors';
import { printable } from '../model/names';

export interface ProgramLimits {
  /** Address space. */
  readonly memoryBytes: number;
  /** Of all its threads together. */
  readonly processorSeconds: number;
  /** Longest file that it may write. */
  readonly fileBytes?: number;
  readonly openFiles?: number;
}

const gibi = 1024 ** 3;
const hour = 3600;

/** By what is read. */
export const limitsFor = {
  /**
   * sfdisk, blkid and wipefs look at some MiB of a sparse copy: 10 MiB and a few hundredths of a second (measured), beside
   * up to 220 MiB for the archive of locales that some systems map.
   */
  tables: { memoryBytes: gibi, processorSeconds: 60 },
  /**
   * zstd, gzip, xz and lz4. An initramfs unpacks with 8 MiB (zstd -19 of mkinitramfs) to 64 MiB (xz -9); zstd itself refuses
   * windows above 128 MiB, xz takes up to 4 GiB where a header asks for it.
   */
  archives: { memoryBytes: gibi, processorSeconds: 120 },
  /**
   * qemu-img and qemu-io on one image alone, without what lies beneath it: a first-level table and a cache of 32 MiB each
   * at the most, 8 MiB of refcounts, threads. Bitmaps in an image, each up to 64 MiB once open, are bounded by nothing else.
   */
  image: { memoryBytes: 2 * gibi, processorSeconds: hour },
  /**
   * The same on a chain: QEMU reserves up to 32 MiB for the tables of each layer, so 256 layers take 8 GiB, of which hardly
   * anything is touched; and `qemu-img check` 2 bytes for each cluster, which is 2 GiB for 64 TiB. Whole disks are read so:
   * a day of processor time is 80 TiB at 1 GiB a second.
   */
  chain: { memoryBytes: 16 * gibi, processorSeconds: 24 * hour },
  /** virt-v2v with the QEMU of its appliance, which reserves 4.4 GiB where it emulates two processors (measured). */
  conversion: { memoryBytes: 32 * gibi, processorSeconds: 24 * hour },
  /** A runbook's script may be any program: enough for interpreters, which reserve much, and an end for one that runs away. */
  script: { memoryBytes: 64 * gibi, processorSeconds: 24 * hour, fileBytes: 64 * gibi, openFiles: 4096 },
  /** hivexregedit: holds a hive (at most 2 GiB by its format, 20 to 200 MiB in life) and writes it anew. */
  hive: { memoryBytes: 4 * gibi, processorSeconds: 100, fileBytes: 2 * gibi, openFiles: 64 },
} as const satisfies Record<string, ProgramLimits>;

/** At the soft limit a program gets SIGXCPU, which tells it from other ends; at the hard one SIGKILL. */
const graceSeconds = 5;

/**
 * The command under its limits, to be run where the command would be. `own`: this process's, in the form of
 * /proc/self/limits; without privileges none of its hard limits can be raised.
 */
export function limited(command: readonly string[], limits: ProgramLimits, own = ownLimits()): string[] {
  const { processorSeconds: seconds, fileBytes, openFiles } = limits;
  const within = (wanted: number, name: string) => Math.min(wanted, hardLimit(own, name));
  const cpu = [seconds, seconds + graceSeconds].map((wanted) => within(wanted, 'cpu time'));
  return [
    ...['prlimit', `--as=${within(limits.memoryBytes, 'address space')}`, `--cpu=${cpu.join(':')}`, '--core=0'],
    ...(fileBytes === undefined ? [] : [`--fsize=${within(fileBytes, 'file size')}`]),
    ...(openFiles === undefined ? [] : [`--nofile=${within(openFiles, 'open files')}`]),
    ...command,
  ];
}

let limitsRead: string | undefined;
const ownLimits = (): string => (limitsRead ??= readFileSync('/proc/self/limits', 'utf8'));

function hardLimit(own: string, name: string): number {
  const hard = new RegExp(`^Max ${name} +\\S+ +(\\d+) `, 'm').exec(own)?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}

/** glibc reserves 64 MiB of address space for each thread's heap, as many as eight per processor. */
export const limitedEnvironment = { MALLOC_ARENA_MAX: '4' };

export interface LimitedEnd {
  readonly program: string;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly stderr: string;
}

/** Words of glibc, GLib, QEMU, xz, zstd and Perl when no memory is left. */
const noMemory =
  /cannot allocate memory|out of memory|memory exhausted|not enough memory|failed to allocate|could not allocate|allocation error|memory usage limit|bad_alloc/i;
/** GLib ends by SIGTRAP where it gets no memory, QEMU's coroutines by SIGABRT; programs that do not look, by the others. */
const breakdowns = ['SIGTRAP', 'SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE'];

/** What a person is told when a program met one of its limits, or broke down under them; undefined: neither. */
export function limitError(end: LimitedEnd, limits: ProgramLimits): OperatorError | undefined {
  const met = metLimit(end, limits);
  if (met === undefined) return undefined;
  const lastWords = printable(end.stderr.trim().split('\n').at(-1)!).slice(0, 200);
  return new OperatorError({
    what: `${end.program} was not let finish reading a disk or a file of a guest`,
    found: `${met.found}${lastWords === '' ? '' : ` (${lastWords})`}`,
    needed: met.needed,
    remedy:
      'What it reads is damaged, or made to do this: choose another recovery point. The limits and their reasons: docs/security.md.',
    detail: end.stderr.slice(-4096),
  });
}

function metLimit(end: LimitedEnd, limits: ProgramLimits): { found: string; needed: string } | undefined {
  const { signal, exitCode, stderr } = end;
  const memory = `at most ${formatSize(limits.memoryBytes)} of memory`;
  if (signal === 'SIGXCPU') {
    const needed = `at most ${limits.processorSeconds} s of processor time`;
    return { found: 'more processor time than it may take', needed };
  }
  if (signal === 'SIGXFSZ' && limits.fileBytes !== undefined) {
    return { found: 'a longer file than it may write', needed: `at most ${formatSize(limits.fileBytes)}` };
  }
  if (exitCode !== 0 && noMemory.test(stderr)) return { found: 'more memory than it may take', needed: memory };
  if (signal !== undefined && breakdowns.includes(signal))
    return { found: `it broke down (${signal})`, needed: memory };
  return undefined;
}
