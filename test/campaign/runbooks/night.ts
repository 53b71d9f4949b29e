/**
 * One night of runbooks: a stack of its own, a few seeds abreast. For each ending that the seeds have, a small runbook with one server
 * of each kind is played in calm; then every seed's twenty servers among everybody's kills. Each of them has to end as its like did
 * in calm, each plan as the small one, and the record is checked.
 */
import { apiClient } from '../api-client';
import { withBooks, type Books } from '../books';
import { playedFindings, type Played, type PlayedServer } from './findings';
import { endStateOf } from '../end-state';
import { openSitePair, type SitePair } from '../sites';
import { rest } from '../rest';
import { loseSource, protectServer, type ProtectedServer } from '../server';
import { holdNight, type Night, type NightEnd } from '../stage';
import { killRules, raiseStorm, setFaults, type Storm } from '../storm';
import { playPeople, type People } from './person';
import { serversOfRunbook, type RunbookSeed } from './seed';
import { comparedAs, losesSources, runbookText, serverKinds, serversOf } from './text';
import { openReceiver, toldFindings, webhookSecret } from './told';

/** Never throws: what goes wrong is a finding. */
export async function playRunbooks(seeds: readonly RunbookSeed[], limitMs: number): Promise<NightEnd> {
  const receiver = await openReceiver();
  const told = (books: Books, runIds: readonly string[], deadline: AbortSignal) =>
    toldFindings(receiver, books, runIds, deadline);
  try {
    const webhook = { url: receiver.url, secret: webhookSecret };
    return await holdNight(limitMs, (night) => play(night, seeds, told), { webhook });
  } finally {
    await receiver.stop();
  }
}

type Tell = (books: Books, runIds: readonly string[], deadline: AbortSignal) => Promise<string[]>;

async function play(night: Night, seeds: readonly RunbookSeed[], told: Tell): Promise<string[]> {
  const { stack, deadline } = night;
  const [calmSite, stormSite] = [openSitePair(stack.folder, 'calm'), openSitePair(stack.folder, 'storm')];
  const people = await peopleOf(night);
  const oneOfEachEnding = seeds.filter((seed, at) => seeds.findIndex(({ ending }) => ending === seed.ending) === at);
  const small = serverKinds.length;
  const calm = await Promise.all(oneOfEachEnding.map((seed) => playOne(night, calmSite, people, seed, small, null)));
  await rest(night, calmSite, calm.flatMap(rested));
  await setFaults(
    stormSite,
    seeds.flatMap((seed) => killRules(seed)),
  );
  const storm = raiseStorm(stack, stormSite);
  let played: Played[];
  try {
    played = await Promise.all(seeds.map((seed) => playOne(night, stormSite, people, seed, serversOfRunbook, storm)));
  } finally {
    night.killed.push(...(await storm.calmDown()));
  }
  await stack.allUp(deadline);
  await rest(night, stormSite, played.flatMap(rested));
  return withBooks(stack, async (books) => {
    const runIds = [...calm, ...played].map(({ run }) => run.runId);
    return [
      ...(await playedFindings(night, books, { calmSite, calm, stormSite, storm: played })),
      ...(await told(books, runIds, deadline)),
    ];
  });
}

/** Whoever started a run never lets it through its gates, so there are two. */
async function peopleOf({ api, stack, deadline }: Night): Promise<People> {
  const issued = await api.call('POST', '/tokens', { body: { name: 'Tomáš Lindqvist', role: 'coordinator' } });
  if (issued.status !== 201) throw new Error(`No token for the approver: ${JSON.stringify(issued.body)}`);
  return { requester: api, approver: apiClient({ apiUrl: stack.apiUrl, token: issued.body.token }, deadline) };
}

async function playOne(
  night: Night,
  site: SitePair,
  people: People,
  seed: RunbookSeed,
  count: number,
  storm: Storm | null,
): Promise<Played> {
  const { stack } = night;
  const name = `${site.name}-${String(seed.seed).padStart(4, '0')}`;
  const servers = serversOf(name, count);
  const protectedOnes = await protectAll(night, site, seed, servers);
  const before = await Promise.all(protectedOnes.map(({ spec }) => site.recovery.replicas.points(spec.id)));
  stack.note(`${name}: ${count} servers are protected`);
  const onLook = (seen: string): unknown => night.seen.set(`${site.name}, seed ${seed.seed}`, seen);
  const listeners = { ...(storm?.listenersOf(seed) ?? silent), onLook };
  const text = runbookText(name, site.name, servers);
  const run = await playPeople(people, seed, { name, text }, listeners);
  stack.note(`${name}: run ${run.runId} ended as ${run.view.state}`);
  const ends = servers.map(async ({ name: server, kind }, at): Promise<PlayedServer> => {
    const view = run.servers.get(server);
    if (view === undefined) throw new Error(`Server ${server} of run ${run.runId} has no run of its own`);
    const its: ProtectedServer = { ...protectedOnes[at]!, machineName: view.order.target.machineName };
    const ofRun = { runId: view.runId, view };
    const compared = comparedAs(kind, seed);
    return { kind, server: its, run: ofRun, compared, end: await endStateOf(site, compared, its, ofRun, before[at]!) };
  });
  return { seed, texts: servers, run, servers: await Promise.all(ends) };
}

const rested = ({ servers }: Played) =>
  servers.map(({ server, compared }) => ({ server, isCommitted: compared.ending.kind === 'commit' }));

const silent = { onStart: () => undefined, onRun: () => undefined, onDecision: () => undefined };

/** Of each seed so many at once: each is three calls and a first point. */
const protectedAtOnce = 4;
/** Every server's replication runs on beside its recovery; what it copies is not what is tested here. */
const pointEveryMs = 20_000;

async function protectAll(
  { api, deadline }: Night,
  site: SitePair,
  seed: RunbookSeed,
  servers: ReturnType<typeof serversOf>,
): Promise<ProtectedServer[]> {
  const done: ProtectedServer[] = [];
  const left = servers.map((server, at) => ({ ...server, at }));
  const protectSome = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { name, kind, at } = next;
      done[at] = await protectServer(api, site, { name, disks: kind.disks, pointEveryMs }, deadline);
      if (losesSources(seed)) await loseSource(site, done[at]);
    }
  };
  await Promise.all(Array.from({ length: protectedAtOnce }, protectSome));
  return done;
}
