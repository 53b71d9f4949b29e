/** What a site's own answer says is not ready: its host, room, networks, hardware and secrets, and sources that have changed. */
import { formatSize } from '../durations';
import type { RecoveryOrder } from '../order';
import { isolatedNetwork, type NetworkMap } from '../runbook/runbook';
import type { ServerSpec } from '../server';
import { risk, siteSource, type RiskFound, type RiskKind, type Severity } from './risks';
import { shapeDifferences, shapeOf } from './shape';
import type { FailedCheck, ReadinessAnswer, SourceSeen } from './site-readiness';

/** A server's order as a runbook would start it. */
export interface AskedOrder {
  readonly runbook: string;
  readonly order: RecoveryOrder;
  /** Networks that its rehearsals use. */
  readonly rehearsal: NetworkMap;
}

/** @param includes what each runbook includes, by name: room and memory have to be enough for all of it */
export function siteRisks(
  siteId: string,
  servers: readonly ServerSpec[],
  asked: readonly AskedOrder[],
  answer: ReadinessAnswer,
  includes: ReadonlyMap<string, readonly string[]>,
): RiskFound[] {
  const byRun = new Map(asked.map((one) => [one.order.runId, one]));
  const source = siteSource(siteId);
  return [
    ...answer.host.map(({ name, severity, found, needed, remedy }) =>
      risk('host', severityOf(severity), { kind: 'site', name: siteId }, name, source, { found, needed, remedy }),
    ),
    ...answer.secrets.map(({ ref, because }) =>
      risk('secret', 'critical', { kind: 'site', name: siteId }, ref, source, {
        found: because,
        needed: `a secret behind ${ref} at this site`,
        remedy: `Put it there, for the worker's user alone; nobody asks for it before it is needed.`,
      }),
    ),
    ...answer.orders.flatMap(({ runId, failed }) => {
      const of = byRun.get(runId);
      return of === undefined ? [] : failed.flatMap((check) => checkRisk(of, check, source));
    }),
    ...asked.flatMap((one) => rehearsalNetworks(one, answer, source)),
    ...sums(siteId, asked, answer, includes),
    ...sourcesOf(servers, answer.sources, source),
  ];
}

const severityOf = (severity: FailedCheck['severity']): Severity => (severity === 'problem' ? 'critical' : 'warning');

/** Names of preflight's checks, and what they are a risk of; null: said better elsewhere (replication-risks.ts). */
const kindOfCheck: Readonly<Record<string, RiskKind | null>> = {
  replica: null,
  hold: null,
  'other points': null,
  'recovery point age': null,
  clocks: 'host',
  disks: 'replication',
  'space for the copies': 'space',
  'space for the overlays': 'space',
  'machine name': 'collision',
  'network addresses': 'collision',
  hardware: 'hardware',
  firmware: 'hardware',
  inoculator: 'hardware',
  memory: 'memory',
};

function checkRisk({ runbook, order }: AskedOrder, check: FailedCheck, source: string): RiskFound[] {
  const { name, severity, found, needed } = check;
  const kind = name.startsWith('network for ') ? 'network' : name in kindOfCheck ? kindOfCheck[name]! : 'target';
  if (kind === null) return [];
  const remedy = `Runbook ${runbook} would stop at its first step: ${remedyOf[kind] ?? 'mend it at the site, or correct the runbook.'}`;
  const server = { kind: 'server', name: order.server.name } as const;
  return [risk(kind, severityOf(severity), server, name, source, { found, needed, remedy })];
}

const remedyOf: Partial<Record<RiskKind, string>> = {
  space: 'make room at the site, or keep fewer points.',
  memory: 'free memory at the site, or give the machine less in the runbook.',
  network: 'correct the map in the runbook, or make that network at the site.',
  hardware: 'choose a profile in the runbook that the site has.',
  collision: 'remove or rename the machine that is there, or give another name in the runbook.',
};

/** `isolated` is made for each run; any other has to be there, and to lead nowhere. */
function rehearsalNetworks({ runbook, order, rehearsal }: AskedOrder, { networks }: ReadinessAnswer, source: string) {
  const wanted = [...new Set(order.server.nics.map((nic) => rehearsal[nic.network] ?? isolatedNetwork))];
  return wanted.flatMap((name): RiskFound[] => {
    const network = networks.find((one) => one.name === name);
    if (name === isolatedNetwork || network?.isolated === true) return [];
    const found = network === undefined ? `no network ${name} at the site` : `${name}, which is not isolated`;
    const about = `rehearsal ${name}`;
    return [
      risk('network', 'warning', { kind: 'runbook', name: runbook }, about, source, {
        found,
        needed: 'an isolated network for rehearsals',
        remedy: `Correct networks.rehearsal in the runbook: \`${isolatedNetwork}\` makes one for each run.`,
      }),
    ];
  });
}

/** Each server may fit and all of a runbook not. */
function sums(
  siteId: string,
  asked: readonly AskedOrder[],
  answer: ReadinessAnswer,
  includes: ReadonlyMap<string, readonly string[]>,
): RiskFound[] {
  const bytes = new Map(answer.orders.map(({ runId, neededBytes }) => [runId, neededBytes]));
  const own = byRunbook(asked);
  return [...new Set([...own.keys(), ...includes.keys()])].flatMap((runbook) => {
    const orders = allWithin(runbook, includes).flatMap((name) => own.get(name) ?? []);
    const subject = { kind: 'runbook', name: runbook } as const;
    const many = `for its ${orders.length} servers at site ${siteId} together`;
    const made = orders.filter(({ order }) => order.target.hardware.kind === 'virtual');
    const diskBytes = orders.reduce((sum, { order }) => sum + (bytes.get(order.runId) ?? 0), 0);
    const memoryBytes = made.reduce((sum, { order }) => sum + order.target.memoryBytes, 0);
    const short = (kind: 'space' | 'memory', has: number, needs: number): RiskFound[] =>
      has >= needs
        ? []
        : [
            risk(kind, 'critical', subject, siteId, siteSource(siteId), {
              found: `${formatSize(has)} free at site ${siteId}`,
              needed: `at least ${formatSize(needs)} ${many}`,
              remedy: kind === 'space' ? 'Make room at the site or add storage.' : 'Add memory, or give machines less.',
            }),
          ];
    return [...short('space', answer.freeBytes, diskBytes), ...short('memory', answer.memoryFreeBytes, memoryBytes)];
  });
}

function sourcesOf(servers: readonly ServerSpec[], seen: readonly SourceSeen[], source: string): RiskFound[] {
  const byId = new Map(servers.map((server) => [server.id, server]));
  return seen.flatMap(({ serverId, now, because }): RiskFound[] => {
    const server = byId.get(serverId);
    if (server === undefined) return [];
    const subject = { kind: 'server', name: server.name } as const;
    if (now === null) {
      return [
        risk('changed-source', 'info', subject, 'unseen', source, {
          found: `its source could not be looked at: ${because ?? 'no answer'}`,
          needed: 'a look at it, to know whether its disks have changed',
          remedy: 'Nothing to do where the source is known to be down.',
        }),
      ];
    }
    const changes = shapeDifferences(shapeOf(server, null), shapeOf({ ...server, ...now }, null));
    const silent = now.os.family === 'unknown' && server.os.family !== 'unknown';
    const changed = changes.map((change) =>
      risk('changed-source', /^disk\S* of /.test(change) ? 'critical' : 'warning', subject, wordsOf(change), source, {
        found: change,
        needed: 'the server as the inventory has it',
        remedy:
          'Take the change in: end its protection, which removes the replica, remove the server and add it again (`muster servers add`), protect it, then rehearse.',
      }),
    );
    return silent ? [...changed, agentSilent(subject, source)] : changed;
  });
}

/** What is recovered keeps its shape; but its points are as after a power cut, and nobody can ask the guest. No change: of severity info. */
const agentSilent = (subject: RiskFound['subject'], source: string): RiskFound =>
  risk('changed-source', 'info', subject, 'agent', source, {
    found: 'its guest agent does not answer',
    needed: 'an agent that answers, as it did when the server was added',
    remedy:
      `Nothing to do while the machine is off or starting. Otherwise start qemu-guest-agent in it anew while its replication is paused ` +
      `(\`muster protect ${subject.name} --pause --reason …\`): libvirt does not hear an agent that comes while a copy runs.`,
  });

/** What is different, without its values, so that the risk keeps its id while they change. */
const wordsOf = (change: string): string => change.split(/ (?:is|has) /)[0]!;

/** The runbook and all that it includes, each once. */
export function allWithin(name: string, includes: ReadonlyMap<string, readonly string[]>): string[] {
  const within = new Set([name]);
  // A set is walked with what is added to it meanwhile.
  for (const one of within) includes.get(one)?.forEach((part) => within.add(part));
  return [...within];
}

function byRunbook(asked: readonly AskedOrder[]): Map<string, AskedOrder[]> {
  const groups = new Map<string, AskedOrder[]>();
  for (const one of asked) {
    const group = groups.get(one.runbook);
    if (group === undefined) groups.set(one.runbook, [one]);
    else group.push(one);
  }
  return groups;
}
