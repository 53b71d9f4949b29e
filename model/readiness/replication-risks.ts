/** What is wrong with a server's replica. */
import { formatDuration } from '../durations';
import type { ReplicaView } from '../replica';
import type { ServerSpec } from '../server';
import { risk, siteSource, type RiskFound, type RiskWords, type Severity } from './risks';

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
  return [
    say(lagMs > farBehind * objectives.rpoMs ? 'critical' : 'warning', 'lag', {
      found: `the newest point is ${formatDuration(lagMs)} old`,
      needed: `at most ${formatDuration(objectives.rpoMs)} (RPO)`,
      remedy: `Look at what keeps ${serverName} from replicating (\`muster replicas\`): its source, the line, the storage.`,
    }),
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
