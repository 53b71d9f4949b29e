/**
 * One night: a stack of its own, a few seeds abreast. Every seed's run is played twice, first in calm at one site, then
 * among everybody's kills at the other; then both ends are compared and the record is checked.
 */
import { defaultScope } from '../../store/contract';
import { lockOf, sessionWorkflowId } from '../../workflows/messages';
import { ledgerFindings, recordOf, replayFindings, stillRunning, withBooks, type ClosedRun } from './books';
import { differences, fileDifferences } from './compare';
import { endStateOf, type EndState } from './end-state';
import { filesAt, heldLeases } from './leftovers';
import { playPerson, type Listeners, type PersonsRun } from './person';
import type { Plan } from './plan';
import { rest } from './rest';
import { loseSource, protectServer, type ProtectedServer } from './server';
import { openSitePair, type SitePair } from './sites';
import { holdNight, type Night, type NightEnd } from './stage';
import { raiseStorm, rulesOf, setFaults } from './storm';

/** One plan at one site, from its protected server to what its run left. */
interface Played {
  readonly plan: Plan;
  readonly server: ProtectedServer;
  readonly run: PersonsRun;
  readonly end: EndState;
}

/** Never throws: what goes wrong is a finding. */
export function playNight(plans: readonly Plan[], limitMs: number): Promise<NightEnd> {
  return holdNight(limitMs, (night) => play(night, plans));
}

async function play(night: Night, plans: readonly Plan[]): Promise<string[]> {
  const calmSite = openSitePair(night.stack.folder, 'calm');
  const stormSite = openSitePair(night.stack.folder, 'storm');
  const calm = await playSite(night, calmSite, plans, () => silent);
  await rest(night, calmSite, calm.map(rested));
  const storm = await playStorm(night, stormSite, plans);
  await night.stack.allUp(night.deadline);
  await rest(night, stormSite, storm.map(rested));
  return findingsOf(night, calmSite, calm, stormSite, storm);
}

const rested = ({ server, plan }: Played) => ({ server, isCommitted: plan.ending.kind === 'commit' });

const silent = { onStart: () => undefined, onRun: () => undefined, onDecision: () => undefined };

async function playStorm(night: Night, site: SitePair, plans: readonly Plan[]): Promise<Played[]> {
  const storm = raiseStorm(night.stack, site);
  try {
    return await playSite(night, site, plans, (plan) => storm.listenersOf(plan));
  } finally {
    night.killed.push(...(await storm.calmDown()));
  }
}

async function playSite(
  night: Night,
  site: SitePair,
  plans: readonly Plan[],
  listenersOf: (plan: Plan) => Omit<Listeners, 'onLook'>,
): Promise<Played[]> {
  const { api, deadline, stack } = night;
  stack.note(`${site.name} begins`);
  const servers = await Promise.all(
    plans.map(async (plan) => {
      const name = `${site.name}-${String(plan.seed).padStart(4, '0')}`;
      return protectServer(api, site, { name, disks: plan.disks, pointEveryMs: 5_000 }, deadline);
    }),
  );
  const lost = servers.filter((_, index) => plans[index]!.source === 'lost');
  await Promise.all(lost.map((server) => loseSource(site, server)));
  const rules = plans.map((plan, index) => rulesOf(plan, servers[index]!, site.name === 'storm'));
  await setFaults(site, rules.flat());
  stack.note(`${site.name}: ${servers.length} servers are protected`);
  const played = await Promise.all(
    plans.map(async (plan, index) => {
      const server = servers[index]!;
      const before = await site.recovery.replicas.points(server.spec.id);
      const onLook = (seen: string): unknown => night.seen.set(`${site.name}, seed ${plan.seed}`, seen);
      const run = await playPerson(api, plan, server, { ...listenersOf(plan), onLook });
      stack.note(`${site.name}: run ${run.runId} of seed ${plan.seed} ended as ${run.view.state}`);
      return { plan, server, run, end: await endStateOf(site, plan, server, run, before) };
    }),
  );
  return played;
}

async function findingsOf(
  night: Night,
  calmSite: SitePair,
  calm: readonly Played[],
  stormSite: SitePair,
  storm: readonly Played[],
): Promise<string[]> {
  const findings: string[] = [];
  const [calmFiles, stormFiles] = [
    await filesAt(calmSite, calm.map(owned)),
    await filesAt(stormSite, storm.map(owned)),
  ];
  await withBooks(night.stack, async (books) => {
    for (const [index, { plan, server, run, end }] of storm.entries()) {
      const undisturbed = calm[index]!;
      const found = [...run.findings, ...undisturbed.run.findings, ...differences(plan, undisturbed.end, end)];
      const [wanted, left] = [
        calmFiles.byServer.get(undisturbed.server.spec.name)!,
        stormFiles.byServer.get(server.spec.name)!,
      ];
      found.push(...fileDifferences(plan, wanted, left));
      const [calmRecord, record] = [
        await recordOf(night, books, closedRun(undisturbed)),
        await recordOf(night, books, closedRun(storm[index]!)),
      ];
      found.push(...calmRecord.findings.map((finding) => `undisturbed: ${finding}`), ...record.findings);
      findings.push(...found.map((finding) => `seed ${plan.seed} (run ${run.runId}): ${finding}`));
    }
    findings.push(...ledgerFindings(books));
    findings.push(
      ...(await replayFindings(
        books,
        storm.map((one) => closedRun(one).workflowId),
      )),
    );
    findings.push(...(await stillRunning(books, night.deadline, sessionsOf([...calm, ...storm]))));
  });
  findings.push(...stormFiles.nobodys.map((file) => `nobody's file was left at the site: ${file}`));
  findings.push(...(await heldLeases(stormSite)).map((lease) => `lease ${lease} is still held`));
  return findings;
}

const owned = ({ server, run }: Played) => ({ server, runId: run.runId });

const closedRun = ({ plan: { mode }, run, server }: Played): ClosedRun => ({
  ...run,
  workflowId: lockOf({ mode, tenantId: defaultScope.tenantId, server: server.spec }),
});

/** Only the sessions of servers that are still protected may run on. */
const sessionsOf = (played: readonly Played[]): string[] =>
  played
    .filter(({ plan }) => plan.ending.kind !== 'commit')
    .map(({ server }) => sessionWorkflowId(defaultScope.tenantId, server.spec.id));
