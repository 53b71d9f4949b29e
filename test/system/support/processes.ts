/** Processes as the kernel shows them: whose child, with which words, and whether it is still the same one. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Seen {
  readonly pid: number;
  readonly parent: number;
  /** Start time in clock ticks: with the pid it names one process for good. */
  readonly startTicks: string;
  readonly command: string;
}

export function processes(): Seen[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => look(Number(name)))
    .filter((one) => one !== undefined);
}

/** Everything below `pid` in the tree, not itself. */
export function descendantsOf(pid: number, all = processes()): Seen[] {
  const children = all.filter((one) => one.parent === pid);
  return children.flatMap((child) => [child, ...descendantsOf(child.pid, all)]);
}

export function alive(one: Seen): boolean {
  return look(one.pid)?.startTicks === one.startTicks;
}

/** Those of them that still run after so long. */
export async function survivors(all: readonly Seen[], withinMs: number): Promise<Seen[]> {
  for (let waited = 0; waited < withinMs && all.some(alive); waited += 100) await sleep(100);
  return all.filter(alive);
}

/** Processes whose words or environment name the folder. */
export function processesNaming(folder: string): Seen[] {
  return processes().filter(
    (one) => one.pid !== process.pid && (one.command.includes(folder) || read(one.pid, 'environ').includes(folder)),
  );
}

function look(pid: number): Seen | undefined {
  const stat = read(pid, 'stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; its parent has only not asked yet. But its files stay open until the last of its threads has ended too.
  if (stat === '' || (fields[0] === 'Z' && threadsOf(pid) <= 1)) return undefined;
  const command = read(pid, 'cmdline').replaceAll('\0', ' ').trim();
  return { pid, parent: Number(fields[1]), startTicks: fields[19]!, command };
}

function threadsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
