/**
 * From the button to the proven boot, against a shell script that calls the usual tools in the same order. One run, one
 * source disk, the same hardware (pvscsi, vmxnet3), taking turns:
 *
 *   muster   `muster recover` on a protected guest whose plug was pulled, to the moment of proof
 *   script   bench/recovery.sh: qemu-img, guestfish with update-initramfs, virsh, the agent; nothing recorded or verified
 *
 *   npx tsx bench/recovery.ts [rounds=2]
 *
 * Prints a table and one line of JSON. Aims: at most 0.7 times the script; Muster's own part (everything but inoculation and
 * the guest's boot) below 3 s.
 */
import { copyFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import Table from 'cli-table3';
import { elapsedMs } from './shared';
import type { StepView } from '../model/run-view';
import { runProgram } from '../programs/run';
import { demoGuest } from '../tools/demo-guest/build.mjs';
import { newMachineName, startDemoMachine } from '../test/replication/support/demo-machine';
import { eventually, manifests, openSystem, type System } from '../test/system/support/system';
import { median, seconds } from './shared';

const rounds = Number(process.argv[2] ?? 2);
const aim = 0.7;
const ownAimMs = 3_000;

interface Ours {
  readonly totalMs: number;
  readonly inoculateMs: number;
  readonly bootMs: number;
  readonly ownMs: number;
  /** What the effects of the other steps took, by the activities' own measure. */
  readonly steps: Readonly<Record<string, number>>;
}

async function main(): Promise<void> {
  const name = newMachineName();
  const system = await openSystem(name);
  try {
    const { imagePath } = await demoGuest();
    const [source] = await Promise.all([startDemoMachine(system.folder, imagePath, name), system.up()]);
    await source.started();
    await protect(system, name);
    await source.pullThePlug();
    const ours: Ours[] = [];
    const scripts: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await ourWay(system, name));
      scripts.push(await scriptWay(system, source.disk, `${name}-script-${round}`));
      process.stderr.write(`round ${round + 1} of ${rounds} done\n`);
    }
    report(ours, scripts);
  } finally {
    await system.close();
  }
}

async function protect(system: System, name: string): Promise<void> {
  const { id } = await system.json<{ id: string }>(
    ...['servers', 'add', name, '--source-site', 'production', '--site', 'recovery', '--rpo', '15s', '--rto', '10m'],
    ...['--point-every', '2s', '--freeze-every', '0s', '--keep', '50'],
    ...['--probe', 'counter=/usr/local/bin/counter-status', '--probe-output', '"chain": ?"ok"'],
  );
  await system.muster(['protect', name]);
  const points = () => {
    try {
      return manifests(system.replica(id)).length;
    } catch {
      return 0;
    }
  };
  await eventually('there are points', 120_000, () => points() >= 3 || undefined);
  // What is prepared ahead of a disaster is prepared; where nothing is, this ends at once.
  await eventually(
    'the session has prepared',
    180_000,
    async () => {
      const { items } = await system.json<{ items: { prepared?: { state: string } | null }[] }>('replicas');
      return items[0]!.prepared?.state !== 'none' || undefined;
    },
    2_000,
  );
}

async function ourWay(system: System, name: string): Promise<Ours> {
  // The command's own start included; on one machine the record's clock is this one's.
  const pushedMs = Date.now();
  const { runId } = await system.json<{ runId: string }>(
    ...['recover', name, '--hardware', 'vmware-pvscsi', '--as', `${name}-ours`, '--no-final-cycle'],
    ...['--stable-for', '0s', '--reason', 'measured'],
  );
  const view = await eventually('the run has ended', 900_000, async () => {
    const now = await system.view(runId);
    return now.closedAt === null ? undefined : now;
  });
  if (view.state !== 'succeeded') throw new Error(`The run ended as ${view.state}.`);
  const took = (id: string): number => durationMs(view.steps.find((step) => step.id === id)!);
  const [inoculateMs, bootMs] = [took('inoculate'), took('prove-boot')];
  const totalMs = Date.parse(view.steps.find(({ id }) => id === 'prove-boot')!.endedAt!) - pushedMs;
  const others = view.steps.filter(
    ({ id }) => id !== 'inoculate' && id !== 'prove-boot' && id !== 'resume-replication',
  );
  const steps = Object.fromEntries(others.map((step) => [step.id, durationMs(step)]));
  await removeMachine(`${name}-ours`);
  return { totalMs, inoculateMs, bootMs, ownMs: totalMs - inoculateMs - bootMs, steps };
}

const durationMs = (step: StepView): number =>
  step.attempts.reduce((sum, attempt) => sum + (attempt.durationMs ?? 0), 0);

/** The script gets the source's disk as a replica that nobody has to make recognisable again. */
async function scriptWay(system: System, sourceDisk: string, machine: string): Promise<number> {
  const replica = join(system.folder, `${machine}.base.qcow2`);
  copyFileSync(sourceDisk, replica);
  const tookMs = await elapsedMs(() =>
    runProgram('bash', [resolve(__dirname, 'recovery.sh'), replica, machine, system.folder], { timeoutMs: 1_800_000 }),
  );
  await removeMachine(machine);
  return tookMs;
}

async function removeMachine(machine: string): Promise<void> {
  await runProgram('virsh', ['-c', 'qemu:///system', 'destroy', machine]);
  await runProgram('virsh', ['-c', 'qemu:///system', 'undefine', machine]);
}

function report(ours: readonly Ours[], scripts: readonly number[]): void {
  const total = median(ours.map(({ totalMs }) => totalMs));
  const own = median(ours.map(({ ownMs }) => ownMs));
  const script = median(scripts);
  const table = new Table({ head: ['way', 'median s', 'inoculation s', 'boot s', 'own s', 'against the script'] });
  table.push(
    [
      ...['muster', seconds(total), seconds(median(ours.map(({ inoculateMs }) => inoculateMs)))],
      ...[seconds(median(ours.map(({ bootMs }) => bootMs))), seconds(own), `${(total / script).toFixed(2)}×`],
    ],
    ['script', seconds(script), '', '', '', '1.00×'],
  );
  console.log(table.toString());
  const met = { ratio: total / script <= aim, own: own <= ownAimMs };
  console.log(JSON.stringify({ bench: 'recovery', rounds, ours, scripts, ratio: total / script, aim, ownAimMs, met }));
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
