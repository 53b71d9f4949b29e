/**
 * The target server: one qemu-storage-daemon per replica, which holds base, layers and overlays open, so that QEMU's
 * image locks keep everybody else off. It is a server of the site and outlives the worker on purpose: found by its pid
 * file, believed only when that process is ours and answers, started again otherwise.
 */
import { readFile, readdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../model/errors';
import { runProgram } from '../programs/run';
import { openSocketFolder, type ReplicaPlace } from './place';
import { connectQmp, type Qmp } from './qmp';

const startTimeoutMs = 20_000;
const stopTimeoutMs = 10_000;

/** Adopts the running target server or starts one, and hands `use` a conversation with it. */
export async function withTargetServer<T>(place: ReplicaPlace, use: (qmp: Qmp) => Promise<T>): Promise<T> {
  const qmp = (await adopt(place)) ?? (await start(place));
  try {
    return await use(qmp);
  } finally {
    qmp.close();
  }
}

/** The target server's process, if the pid file names one that is really ours. */
export async function targetPid(place: ReplicaPlace): Promise<number | undefined> {
  const pid = await notedPid(place);
  if (pid === undefined) return undefined;
  // The number may have been given to another process since: its command line has to name our pid file.
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const words = command.split('\0');
  return /(^|\/)qemu-storage-daemon$/.test(words[0] ?? '') && words.includes(place.pidFile) ? pid : undefined;
}

async function notedPid({ pidFile }: ReplicaPlace): Promise<number | undefined> {
  const pid = Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

/** Ends the target server: asked first, then killed. Not running: already so. */
export async function stopTargetServer(place: ReplicaPlace): Promise<void> {
  const pid = await targetPid(place);
  if (pid !== undefined) {
    await askToQuit(place);
    if (!(await gone(place, pid, stopTimeoutMs))) process.kill(pid, 'SIGKILL');
  }
  await untilGone(place);
  await rm(place.pidFile, { force: true });
}

async function adopt(place: ReplicaPlace): Promise<Qmp | undefined> {
  const pid = await targetPid(place);
  if (pid === undefined) return undefined;
  const qmp = await connectQmp(place.qmpSocket).catch(() => undefined);
  if (qmp === undefined) {
    // Ours, but deaf: nothing can be read from it any more, and its locks would keep a new one out.
    process.kill(pid, 'SIGKILL');
  }
  return qmp;
}

async function start(place: ReplicaPlace): Promise<Qmp> {
  // /run is empty after a reboot.
  await openSocketFolder(place);
  await untilGone(place);
  for (const path of [place.pidFile, place.qmpSocket, place.nbdSocket]) await rm(path, { force: true });
  await runProgram('qemu-storage-daemon', targetServerArguments(place), {
    dieWithParent: false,
    timeoutMs: startTimeoutMs,
  });
  return connectQmp(place.qmpSocket);
}

export function targetServerArguments(place: ReplicaPlace): string[] {
  return [
    '--daemonize',
    '--pidfile',
    place.pidFile,
    '--chardev',
    `socket,id=qmp,path=${place.qmpSocket},server=on,wait=off`,
    '--monitor',
    'chardev=qmp',
    '--nbd-server',
    `addr.type=unix,addr.path=${place.nbdSocket}`,
  ];
}

async function askToQuit(place: ReplicaPlace): Promise<void> {
  try {
    const qmp = await connectQmp(place.qmpSocket, { commandTimeoutMs: 5_000 });
    await qmp.execute('quit').finally(() => qmp.close());
  } catch (error) {
    // It may close the connection before it answers; whether it is gone is looked at next.
    if (!(error instanceof TransientError)) throw error;
  }
}

/** Whoever was the target server has ended with its files, killed a moment ago or long gone. */
async function untilGone(place: ReplicaPlace): Promise<void> {
  const pid = await notedPid(place);
  if (pid !== undefined) await gone(place, pid, stopTimeoutMs);
}

async function gone(place: ReplicaPlace, pid: number, timeoutMs: number): Promise<boolean> {
  for (let waited = 0; waited < timeoutMs; waited += 20) {
    if ((await targetPid(place)) !== pid && !(await isLeaving(pid))) return true;
    await sleep(20);
  }
  return false;
}

/** PF_EXITING of the kernel's include/linux/sched.h, in the seventh field after the name in /proc/PID/stat (proc_pid_stat(5)). */
const exitingFlag = 0x4;

/** A process that was killed loses its command line first, and its files, with QEMU's locks on them, only with its last thread. */
async function isLeaving(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, , , , , , flags] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if ((Number(flags) & exitingFlag) === 0) return false;
  if (state !== 'Z' && state !== 'X') return true;
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  return threads.length > 1;
}
