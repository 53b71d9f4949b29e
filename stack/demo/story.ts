/**
 * `npm run demo`: a real server is protected, lost and recovered onto other hardware, and proven to work. Everything in
 * it is real: the guest, the replication, the plug that is pulled, the commands.
 */
import { join } from 'node:path';
import pc from 'picocolors';
import type { RunView } from '../../model/run-view';
import { formatDuration } from '../../model/durations';
import type { RunningStack } from '../start';
import { asJson, mustRun, showAndRun } from './muster';
import type { DemoPlace } from './place';
import { sourceName, waitForCounter } from './counter';
import type { CounterStatus } from './counter';
import { waitForPoints } from './points';
import { startSource } from './source-machine';
import { perform, sourcePlatform } from './stage';
import { ask, chapter, heading, isTerminal, say, sayCommand, waitFor } from './telling';

export interface DemoOptions {
  readonly inoculation: boolean;
}

const chapters = 5;
const recoveredName = `${sourceName}-recovered`;
/** How long the guest takes where it was measured: two shared cores, software emulation (docs/proof.md). */
const usualBootMs = 50_000;
const usualFirstCopyMs = 12_000;
const pointsWanted = 4;
/** Returns the exit code: 0 when the server was recovered and proven, 1 when it was not. */
export async function tellStory(options: DemoOptions): Promise<number> {
  const { demoGuest } = await import('../../tools/demo-guest/build.mjs');
  const guest = await demoGuest({ progress: say });
  return perform((place, stack) => tell(place, stack, guest.imagePath, options));
}

async function tell(place: DemoPlace, stack: RunningStack, imagePath: string, options: DemoOptions): Promise<number> {
  const platform = sourcePlatform(place);

  chapter(1, chapters, `The server ${sourceName}`);
  say('Debian 12 with a service that writes a number to its disk five times a second.');
  say('Its first boot stage knows one disk controller: its own (AHCI).');
  await startSource(join(place.configuration.dataFolder, 'production'), { name: sourceName, imagePath, network: null });
  const first = await waitFor(`${sourceName} boots`, usualBootMs, waitForCounter(platform));
  say(`The service answers from inside: number ${first.current}.`);

  chapter(2, chapters, 'Protect it');
  await mustRun(place, [
    ...[
      'servers',
      'add',
      sourceName,
      '--source-site',
      'production',
      '--site',
      'recovery',
      '--rpo',
      '15s',
      '--rto',
      '10m',
    ],
    ...['--point-every', '3s', '--freeze-every', '15s', '--keep', '5'],
    ...['--probe', 'counter=/usr/local/bin/counter-status', '--probe-output', '"chain": ?"ok"'],
  ]);
  await mustRun(place, ['protect', sourceName]);
  await waitFor(
    `First copy and ${pointsWanted} recovery points`,
    usualFirstCopyMs + pointsWanted * 4_000,
    waitForPoints(place, 1, pointsWanted),
  );
  await mustRun(place, ['replicas']);

  chapter(3, chapters, 'Disaster');
  const before = await waitForCounter(platform);
  await platform.power({ name: sourceName, owner: null }, 'off');
  const lostAt = new Date().toISOString();
  say(pc.red(`The plug of ${sourceName} was pulled in mid-write, at number ${before.current} or a little later.`));

  chapter(4, chapters, 'Push the button');
  say('Onto other hardware: pvscsi disk and vmxnet3 network, as QEMU emulates VMware’s.');
  const runId = await recover(place, lostAt, options);
  const code = await watchToItsEnd(place, runId);

  chapter(5, chapters, 'The result');
  const { view } = await asJson<{ view: RunView }>(place, ['show', runId]);
  const report = join(place.configuration.dataFolder, 'report.html');
  await mustRun(place, ['report', runId, '--output', report]);
  sumUp(view, before);
  suggest(place, stack, runId, report, options);
  return code;
}

async function recover(place: DemoPlace, lostAt: string, { inoculation }: DemoOptions): Promise<string> {
  const args = [
    ...['recover', sourceName, '--hardware', 'vmware-pvscsi', '--option', 'backup-and-recover', '--as', recoveredName],
    ...['--lost-at', lostAt, '--stable-for', '10s', ...(inoculation ? [] : ['--no-inoculation'])],
    ...['--reason', `${sourceName} lost its power`],
  ];
  await mustRun(place, args);
  const runs = await asJson<{ items: { runId: string }[] }>(place, ['runs', '--limit', '1']);
  return runs.items[0]!.runId;
}

/** Watches; when the run waits for people, the reader decides, or is shown what an engineer would type. */
async function watchToItsEnd(place: DemoPlace, runId: string): Promise<number> {
  const waitsForPeople = 8;
  for (let after: string[] = []; ;) {
    const code = await showAndRun(place, ['watch', runId, '--stop-when-waiting', ...after]);
    if (code !== waitsForPeople) return code;
    const { view } = await asJson<{ view: RunView }>(place, ['show', runId]);
    after = ['--after', String(view.eventCount)];
    await decide(place, view);
  }
}

async function decide(place: DemoPlace, view: RunView): Promise<void> {
  const { runId } = view;
  const open = view.parkings.find((parking) => parking.until === null);
  if (open === undefined) return;
  say(pc.yellow(`Stuck at ${open.step}. This is where somebody is woken.`));
  const retry = [
    'retry',
    runId,
    '--from',
    'inoculate',
    '--set',
    'inoculate=true',
    '--reason',
    'drivers of pvscsi are missing',
  ];
  const abort = ['abort', runId, '--reason', 'the reader of the demo gave up'];
  if (isTerminal()) {
    sayCommand(`muster ${retry.slice(0, -1).join(' ')} "…"`);
    const answer = await ask('What do you decide? Retry with inoculation, or abort:', ['retry', 'abort']);
    return mustRun(place, answer === 'retry' ? retry : abort);
  }
  say('Nobody sits at this terminal, so the demo decides what an engineer would:');
  await mustRun(place, retry);
}

function sumUp(view: RunView, before: CounterStatus): void {
  const { rpo, rto } = view.objectives;
  const line = (name: string, actualMs: number | null, targetMs: number, met: boolean): void => {
    const actual = actualMs === null ? 'unknown' : formatDuration(actualMs);
    say(`${name}  ${(met ? pc.green : pc.red)(actual)}  of at most ${formatDuration(targetMs)}`);
  };
  say(`The run ended as ${pc.bold(view.state)}.`);
  line('RPO', rpo.actualMs, rpo.targetMs, rpo.verdict === 'met');
  line('RTO', rto.actualMs, rto.targetMs, rto.verdict === 'met');
  const proof = view.steps.find((step) => step.id === 'prove-boot');
  const answer = /\{.*"recovered".*\}/.exec(JSON.stringify(proof ?? {}).replaceAll('\\"', '"'))?.[0];
  const recovered = answer === undefined ? null : /"recovered": ?(\d+)/.exec(answer)?.[1];
  if (recovered !== null && recovered !== undefined) {
    say(
      `Before the loss the service was at ${before.current}; it came back knowing ${recovered}, with an unbroken chain.`,
    );
  }
}

function suggest(place: DemoPlace, stack: RunningStack, runId: string, report: string, options: DemoOptions): void {
  say(`Report: ${pc.bold(report)}`);
  heading('What to try next');
  say('npm run demo -- --without-inoculation     the same server failing to boot, and how a person mends it');
  if (!options.inoculation) say('npm run demo                              without the failure');
  say(`MUSTER_DATA_FOLDER=${place.configuration.dataFolder} MUSTER_TENANT_ID=demo npx muster up`);
  say(
    `    then, in another terminal: MUSTER_DATA_FOLDER=${place.configuration.dataFolder} npx muster show ${runId.slice(-8)}`,
  );
  say(`    (its record is kept), or ${stack.url}/api/v1/openapi.json`);
  say('docs/concepts.md                          ten minutes that explain the words');
}
