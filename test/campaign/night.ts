/**
 * One night: a stack of its own, a few seeds abreast. Every seed's run is played twice, first in calm at one site, then
 * among everybody's kills at the other; then both ends are compared and the record is checked.
 */
import { Client, Connection } from '@temporalio/client';
import { withFileLock } from '../../platforms/file-lock';
import { lockName } from '../../platforms/simulated/site';
import { openEvidenceStore } from '../../record/evidence';
import { verifyLedger } from '../../record/ledger';
import { defaultScope } from '../../store/contract';
import { openStore } from '../../store/open-store';
import { liveRunQuery, lockOf } from '../../workflows/messages';
import { dataConverter } from '../../wire/payloads';
import { apiClient, until, type ApiClient } from './api-client';
import { differences, fileDifferences } from './compare';
import { endStateOf, type EndState } from './end-state';
import { processesOf, startKillableStack, type KillableStack } from './killable-stack';
import { lastLines } from './killable-part';
import { filesAt, heldLeases, openWorkflows } from './leftovers';
import { playPerson, type Listeners, type PersonsRun } from './person';
import type { Plan } from './plan';
import { recordFindings } from './record-findings';
import { beginDisaster, pauseSession, protectServer, wakeSession, type ProtectedServer } from './server';
import { openSitePair, type SitePair } from './sites';
import { raiseStorm, rulesOf, setFaults } from './storm';

export interface NightReport {
  readonly plans: readonly Plan[];
  readonly killed: number;
  readonly findings: readonly string[];
  /** Kills and starts, oldest first. */
  readonly diary: readonly string[];
  /** Kept when there are findings. */
  readonly folder: string | null;
}

/** One plan at one site, from its protected server to what its run left. */
interface Played {
  readonly plan: Plan;
  readonly server: ProtectedServer;
  readonly run: PersonsRun;
  readonly end: EndState;
}

interface Night {
  readonly stack: KillableStack;
  readonly api: ApiClient;
  readonly deadline: AbortSignal;
  /** Site and seed -> what its person saw last. */
  readonly seen: Map<string, string>;
}

/** Never throws: what goes wrong is a finding, with what the stack was doing. */
export async function playNight(plans: readonly Plan[], limitMs: number): Promise<NightReport> {
  const stack = await startKillableStack().catch((error: Error) => error);
  if (stack instanceof Error) return { plans, killed: 0, findings: [stack.message], diary: [], folder: null };
  const over = new AbortController();
  const deadline = AbortSignal.any([AbortSignal.timeout(limitMs), over.signal]);
  const findings: string[] = [];
  const night: Night = { stack, deadline, api: apiClient(stack, deadline), seen: new Map() };
  let killed = 0;
  try {
    const calmSite = openSitePair(stack.folder, 'calm');
    const stormSite = openSitePair(stack.folder, 'storm');
    const calm = await playSite(night, calmSite, plans, () => silent);
    await rest(night, calmSite, calm);
    const storm = await playStorm(night, stormSite, plans, (count) => (killed = count));
    await stack.allUp(deadline);
    await rest(night, stormSite, storm);
    findings.push(...(await findingsOf(night, calmSite, calm, stormSite, storm)));
  } catch (error) {
    findings.push(`the night did not end: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    findings.push(await dump(night));
  }
  over.abort(new Error('the night is over'));
  await stack.stop();
  await leftProcesses(stack, findings);
  if (findings.length === 0) await stack.remove();
  return { plans, killed, findings, diary: stack.diary, folder: findings.length === 0 ? null : stack.folder };
}

const silent = { onStart: () => undefined, onRun: () => undefined, onDecision: () => undefined };

async function playStorm(
  night: Night,
  site: SitePair,
  plans: readonly Plan[],
  tell: (killed: number) => void,
): Promise<Played[]> {
  const storm = raiseStorm(night.stack, site);
  try {
    return await playSite(night, site, plans, (plan) => storm.listenersOf(plan));
  } finally {
    tell(await storm.calmDown());
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
  const servers = await Promise.all(plans.map((plan) => protectServer(api, site, plan, deadline)));
  await Promise.all(plans.map((plan, index) => beginDisaster(site, plan, servers[index]!)));
  await Promise.all(servers.map((server) => cycleEnded(site, server)));
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

/** A cycle that was under way when the source was lost may still complete its point. */
function cycleEnded(site: SitePair, { spec }: ProtectedServer): Promise<void> {
  return withFileLock(lockName(site.recovery.site, `cycle ${spec.id}`), () => Promise.resolve());
}

/** Replication goes on, or has ended with a commit; then it is paused, and nothing moves any more. */
async function rest({ api, deadline, stack }: Night, site: SitePair, played: readonly Played[]): Promise<void> {
  await setFaults(site, []);
  await Promise.all(
    played.map(async ({ plan, server }) => {
      const { id, name } = server.spec;
      const newest = async (): Promise<string | undefined> => (await site.recovery.replicas.points(id)).at(-1)?.pointId;
      const before = await newest();
      if (plan.ending.kind !== 'commit') await site.source.platform.power({ name, owner: null }, 'on');
      await wakeSession(api, server);
      if (plan.ending.kind === 'commit') {
        await until(`the end of the session of ${name}`, () => sessionState(api, server, 'removed'), deadline);
        return;
      }
      const goesOn = async () => ((await newest()) === before ? undefined : true);
      await until(`a new point of ${name} after its run`, goesOn, deadline);
      await pauseSession(api, server);
      await until(`the pause of ${name}`, () => sessionState(api, server, 'paused'), deadline);
    }),
  );
  stack.note(`${site.name}: replication was seen to go on, and rests`);
}

async function sessionState(api: ApiClient, { spec }: ProtectedServer, state: string): Promise<true | undefined> {
  const reply = await api.call('POST', `/servers/${spec.name}/protection/pause`, {
    body: { reason: 'the campaign looks' },
  });
  // A closed session refuses: it is removed.
  if (reply.status === 409) return state === 'removed' ? true : undefined;
  return reply.body.session?.state === state ? true : undefined;
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
  for (const [index, { plan, server, run, end }] of storm.entries()) {
    const undisturbed = calm[index]!;
    const found = [...run.findings, ...undisturbed.run.findings, ...differences(plan, undisturbed.end, end)];
    const [wanted, left] = [
      calmFiles.byServer.get(undisturbed.server.spec.name)!,
      stormFiles.byServer.get(server.spec.name)!,
    ];
    found.push(...fileDifferences(plan, wanted, left));
    found.push(
      ...(await recordOf(night, plan, undisturbed)).map((finding) => `undisturbed: ${finding}`),
      ...(await recordOf(night, plan, storm[index]!)),
    );
    findings.push(...found.map((finding) => `seed ${plan.seed} (run ${run.runId}): ${finding}`));
  }
  findings.push(...stormFiles.nobodys.map((file) => `nobody's file was left at the site: ${file}`));
  findings.push(...(await heldLeases(stormSite)).map((lease) => `lease ${lease} is still held`));
  findings.push(...(await stillRunning(night, [...calm, ...storm])));
  return findings;
}

const owned = ({ server, run }: Played) => ({ server, runId: run.runId });

async function recordOf({ stack, api }: Night, { mode }: Plan, { run, server }: Played): Promise<string[]> {
  const store = openStore(stack.postgresUrl);
  const connection = await Connection.connect({ address: stack.temporal.address });
  try {
    const client = new Client({ connection, namespace: stack.temporal.namespace, dataConverter });
    const handle = client.workflow.getHandle(lockOf({ mode, tenantId: defaultScope.tenantId, server: server.spec }));
    const [rows, ledger, live] = [
      await store.journal.rows(run.runId),
      await store.ledger(),
      await handle.query(liveRunQuery),
    ];
    const evidence = openEvidenceStore({ folder: stack.evidenceFolder, ...defaultScope });
    const findings = await recordFindings(rows, ledger, live.events, evidence, run.acts);
    const verdict = verifyLedger(ledger);
    if (!verdict.ok) findings.push(`the ledger breaks at row ${verdict.sequence}: ${verdict.why}`);
    const { status } = await handle.describe();
    if (status.name !== 'COMPLETED') findings.push(`its workflow is ${status.name}`);
    const page = await api.call('GET', `/runs/${run.runId}/report`, { html: true });
    if (page.status !== 200 || !String(page.body).includes(run.runId))
      findings.push(`its report is answered ${page.status}`);
    return findings;
  } finally {
    await connection.close();
    await store.close();
  }
}

/** Only the sessions of servers that are still protected may run on. */
async function stillRunning({ stack, deadline }: Night, played: readonly Played[]): Promise<string[]> {
  const connection = await Connection.connect({ address: stack.temporal.address });
  const client = new Client({ connection, namespace: stack.temporal.namespace, dataConverter });
  const { tenantId } = defaultScope;
  const wanted = played
    .filter(({ plan }) => plan.ending.kind !== 'commit')
    .map(({ server }) => `${tenantId}/replication/${server.spec.id}`)
    .sort();
  // The list of executions follows what happened a moment later.
  let found: string[] = [];
  const asWanted = async () => ((found = await openWorkflows(client)).join() === wanted.join() ? true : undefined);
  const soon = AbortSignal.any([deadline, AbortSignal.timeout(10_000)]);
  await until('the right workflows', asWanted, soon).catch(() => undefined);
  await connection.close();
  const unwanted = found.filter((id) => !wanted.includes(id)).map((id) => `workflow ${id} still runs`);
  return [...unwanted, ...wanted.filter((id) => !found.includes(id)).map((id) => `workflow ${id} has ended`)];
}

async function leftProcesses(stack: KillableStack, findings: string[]): Promise<void> {
  const soon = AbortSignal.timeout(10_000);
  await until('no process', async () => (processesOf(stack.folder).length === 0 ? true : undefined), soon).catch(
    () => undefined,
  );
  findings.push(...processesOf(stack.folder).map((left) => `process left running: ${left}`));
}

/** What everybody was doing when the time was over. */
async function dump({ stack, seen }: Night): Promise<string> {
  const logs = await Promise.all(Object.values(stack.parts).map((part) => lastLines(part)));
  const persons = [...seen].map(([who, what]) => `${who}: ${what}`);
  return [
    'What the persons saw last:',
    ...persons,
    'What the parts say last:',
    ...logs,
    await pendingWork(stack).catch((error: Error) => error.message),
  ].join('\n');
}

async function pendingWork(stack: KillableStack): Promise<string> {
  const connection = await Connection.connect({ address: stack.temporal.address, connectTimeout: 3_000 });
  try {
    const client = new Client({ connection, namespace: stack.temporal.namespace, dataConverter });
    const lines: string[] = [];
    for (const id of await openWorkflows(client)) {
      const { raw } = await client.workflow.getHandle(id).describe();
      const pending = (raw.pendingActivities ?? []).map(
        ({ activityType, state, attempt, lastFailure }) =>
          `${activityType?.name} (state ${state}, attempt ${attempt}) ${lastFailure?.message ?? ''}`,
      );
      lines.push(
        `${id}: ${pending.join('; ') || 'no pending activity'}; workflow task ${raw.pendingWorkflowTask ? 'pending' : 'none'}`,
      );
    }
    return lines.join('\n');
  } finally {
    await connection.close();
  }
}
