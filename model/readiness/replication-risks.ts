/** What is wrong with a server's replica, by the inventory and by its runbooks. */
import { formatDuration } from '../durations';
import type { ReplicaView } from '../replica';
import type { PlanObjectives } from '../runbook/runbook';
import type { ServerSpec } from '../server';
import { risk, siteSource, type RiskFound, type RiskWords, type Severity } from './risks';
import { allWithin, type AskedOrder } from './site-risks';

/** Behind by more than this times its objective, a disaster costs what nobody has agreed to. */
const farBehind = 2;

/**
 * @param replica undefined: none, and no session either
 * @param planned whether a runbook recovers it
 */
export function replicationRisks(server: ServerSpec, replica: ReplicaView | undefined, planned: boolean): RiskFound[] {
  const say = (severity: Severity, about: string, words: RiskWords): RiskFound =>
    risk(
      'replication',
      severity,
      { kind: 'server', name: server.name },
      about,
      siteSource(server.recoverySiteId),
      words,
    );
  if (replica === undefined || (replica.points.length === 0 && replica.state === 'removed')) {
    return [
      say(planned ? 'critical' : 'warning', 'none', {
        found: 'no replica',
        needed: 'a replica with a complete point',
        remedy: `Protect it: \`muster protect ${server.name}\``,
      }),
    ];
  }
  return [...stateOf(replica, say), ...lagOf(server, replica, say), ...orphansOf(replica, say)];
}

type Say = (severity: Severity, about: string, words: RiskWords) => RiskFound;

function stateOf({ state, heldBy, lastError, serverName, points }: ReplicaView, say: Say): RiskFound[] {
  const needed = 'replicating';
  const goOn = `Let it go on: \`muster protect ${serverName} --resume --reason …\``;
  const held = heldBy === null ? [] : [`held by run ${heldBy}`];
  const errors =
    lastError === null
      ? []
      : [
          say(points.length === 0 ? 'critical' : 'warning', 'error', {
            found: `the last cycle failed: ${lastError}`,
            needed: 'cycles without an error',
            remedy: `Mend what it names; \`muster replicas\` shows when ${serverName} goes on.`,
          }),
        ];
  if (state === 'paused') {
    return [...errors, say('warning', 'state', { found: 'paused by a person', needed, remedy: goOn })];
  }
  if (state === 'suspended' || state === 'frozen') {
    const remedy = heldBy === null ? goOn : `It goes on when the run has ended: \`muster show ${heldBy}\``;
    const found = [state, ...held].join(', ');
    return [...errors, say(heldBy === null ? 'warning' : 'info', 'state', { found, needed, remedy })];
  }
  return errors;
}

function lagOf({ objectives }: ServerSpec, { points, lagMs, serverName }: ReplicaView, say: Say): RiskFound[] {
  if (points.length === 0 || lagMs === null) {
    const words = { found: 'no complete point', needed: 'at least one' };
    return [
      say('critical', 'lag', { ...words, remedy: 'Wait for the first copy: `muster replicas` shows how far it is.' }),
    ];
  }
  if (lagMs <= objectives.rpoMs) return [];
  return [say(severityOf(lagMs, objectives.rpoMs), 'lag', lagWords(serverName, lagMs, objectives.rpoMs, 'RPO'))];
}

const severityOf = (lagMs: number, rpoMs: number): Severity => (lagMs > farBehind * rpoMs ? 'critical' : 'warning');

const lagWords = (name: string, lagMs: number, rpoMs: number, whose: string): RiskWords => ({
  found: `the newest point of ${name} is ${formatDuration(lagMs)} old`,
  needed: `at most ${formatDuration(rpoMs)} (${whose})`,
  remedy:
    `Look at what keeps ${name} from replicating (\`muster replicas\`): its source, the line, the storage. ` +
    'A guest that starts is copied when its agent has come, after five minutes at the latest.',
});

/**
 * Points that are older than a runbook itself allows: for the server, its tier or the whole. Not where it allows no less than the inventory
 * or than a runbook within it: there the lag is told.
 *
 * @param servers as the inventory has them
 * @param replicas by server id
 * @param objectives of each runbook, by its name
 * @param includes what each runbook includes, by its name
 */
export function lagRisksOfRunbooks(
  asked: readonly AskedOrder[],
  servers: readonly ServerSpec[],
  replicas: ReadonlyMap<string, ReplicaView>,
  objectives: ReadonlyMap<string, Pick<PlanObjectives, 'rpoMs' | 'tiers'>>,
  includes: ReadonlyMap<string, readonly string[]>,
): RiskFound[] {
  const inventory = new Map(servers.map(({ id, objectives: { rpoMs } }) => [id, rpoMs]));
  const within = new Map([...objectives.keys()].map((name) => [name, new Set(allWithin(name, includes))]));
  const allows = (name: string, one: AskedOrder): Allowed => tightest(allowedBy(name, objectives.get(name), one));
  return [...within].flatMap(([name, inside]) =>
    asked.flatMap((one): RiskFound[] => {
      const { server, target } = one.order;
      const lagMs = replicas.get(server.id)?.lagMs ?? null;
      if (lagMs === null || !inside.has(one.runbook)) return [];
      const { rpoMs, whose } = allows(name, one);
      const parts = [...inside].filter((part) => part !== name && within.get(part)?.has(one.runbook));
      const told = [inventory.get(server.id) ?? Infinity, ...parts.map((part) => allows(part, one).rpoMs)];
      if (lagMs <= rpoMs || rpoMs >= Math.min(...told)) return [];
      const words = lagWords(server.name, lagMs, rpoMs, whose);
      const about = `lag of ${server.name}`;
      const subject = { kind: 'runbook', name } as const;
      return [risk('replication', severityOf(lagMs, rpoMs), subject, about, siteSource(target.siteId), words)];
    }),
  );
}

interface Allowed {
  readonly rpoMs: number;
  readonly whose: string;
}

const tightest = (all: readonly Allowed[]): Allowed =>
  all.reduce((least, one) => (one.rpoMs < least.rpoMs ? one : least), { rpoMs: Infinity, whose: '' });

/** What a runbook says of a server of its own, or of one within it. */
function allowedBy(
  name: string,
  of: Pick<PlanObjectives, 'rpoMs' | 'tiers'> | undefined,
  { runbook, order: { server } }: AskedOrder,
): Allowed[] {
  const said = (rpoMs: number | null | undefined, whose: string): Allowed[] =>
    rpoMs == null ? [] : [{ rpoMs, whose }];
  return [
    ...said(of?.rpoMs, 'its RPO'),
    ...said(of?.tiers[server.tier]?.rpoMs, `its RPO of tier ${server.tier}`),
    ...(runbook === name ? said(server.objectives.rpoMs, `its RPO of ${server.name}`) : []),
  ];
}

function orphansOf({ orphans = [] }: ReplicaView, say: Say): RiskFound[] {
  if (orphans.length === 0) return [];
  return [
    say('warning', 'points', {
      found: `${orphans.length} points cannot be recovered from; the last: ${orphans.at(-1)!.because}`,
      needed: 'whole manifests and layers',
      remedy: 'Look at the storage of the site; newer points stand on their own chain.',
    }),
  ];
}
