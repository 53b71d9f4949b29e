/**
 * A machine that was shut down on purpose still has its last writes to give, but libvirt copies only from a running QEMU.
 * So QEMU is started on its disks with the processors stopped (`start --paused`): its guest never runs. The start carries
 * `--autodestroy`: when the connection that asked for it ends, libvirt ends the machine. The connection is held by a child
 * that dies with this process, so that no crash leaves a machine behind that somebody could resume. What changed since the
 * last point is known because a clean end of QEMU stores the dirty bitmaps in the images (tried: shutdown, destroy and
 * the end of an autodestroy connection, libvirt 9.0 with QEMU 7.2).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../model/errors';
import { ProgramError, runProgram } from '../programs/run';
import type { Virsh } from './virsh';

/** A host that starts many machines at once opens disks slowly; who fails says so itself, long before. */
const startTimeoutMs = 60_000;
const pollMs = 50;
const lastWordsMs = 2_000;

interface StoppedMachine {
  readonly uri: string;
  readonly virsh: Virsh;
  readonly uuid: string;
  readonly name: string;
}

/** `clean`: the guest's last end was its own shutdown, so everything of it is on its disks. */
export async function stoppedHow(virsh: Virsh, name: string, signal?: AbortSignal): Promise<'clean' | 'hard' | null> {
  const said = await virsh(['domstate', name, '--reason'], { signal });
  if (!said.startsWith('shut off')) return null;
  return said.includes('(shutdown)') ? 'clean' : 'hard';
}

/**
 * Runs `work` while QEMU has the stopped machine's disks open; the machine is off again when this ends, however it ends.
 *
 * @throws TransientError when it cannot be started so: its disks are in use elsewhere, or somebody else started it.
 */
export async function whileHeldStill<T>(
  machine: StoppedMachine,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { uri, virsh, uuid } = machine;
  const letGo = new AbortController();
  // The uuid, because a name may hold what virsh would read as a second command. The wait for events never ends.
  const hold = `start --paused --autodestroy ${uuid}; event --domain ${uuid} --event lifecycle --loop`;
  const holding = runProgram('virsh', ['-c', uri, '--quiet', hold], { signal: letGo.signal }).then(
    () => 'ended',
    (error: unknown) => (error instanceof ProgramError ? error.stderr.trim() || error.shortMessage : String(error)),
  );
  let held = false;
  try {
    await untilHeld(machine, holding, letGo, signal);
    held = true;
    return await work();
  } finally {
    // libvirt goes on with a start whose connection is gone, and an end before it ends nothing.
    if (!held && !letGo.signal.aborted) await untilHeld(machine, holding, letGo, undefined).catch(() => undefined);
    // A gentle end, so that the bitmaps are stored; the end of the connection is what is sure. Not under the signal.
    if (!letGo.signal.aborted) await virsh(['destroy', uuid, '--graceful']).catch(() => undefined);
    letGo.abort();
    await holding;
  }
}

async function untilHeld(
  { virsh, uuid, name }: StoppedMachine,
  holding: Promise<string>,
  letGo: AbortController,
  signal: AbortSignal | undefined,
): Promise<void> {
  let ended: string | undefined;
  void holding.then((said) => (ended = said));
  const deadline = performance.now() + startTimeoutMs;
  let wasStarting = false;
  for (;;) {
    signal?.throwIfAborted();
    const state = await virsh(['domstate', uuid, '--reason'], { signal });
    // While QEMU opens the disks, and may yet fail to, the state is already "paused (starting up)".
    const isStarting = state === 'paused (starting up)';
    if (state.startsWith('paused') && !isStarting) return;
    if (ended !== undefined || (wasStarting && !isStarting) || performance.now() > deadline) break;
    wasStarting = isStarting;
    await sleep(pollMs);
  }
  // virsh prints why in its own time.
  await Promise.race([holding, sleep(lastWordsMs)]);
  letGo.abort();
  throw new TransientError({
    what: `the last writes of ${name} cannot be read`,
    found: await holding,
    needed: 'QEMU opening the disks of the stopped machine',
    remedy: `Try \`virsh start --paused ${name}\` at the source: what it says is in the way; end it with \`virsh destroy ${name}\`.`,
  });
}
