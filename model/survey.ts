/**
 * What is at a recovery site before a rehearsal and after its clean-up, compared item by item. Pure: activities/survey.ts
 * reads, this file says what a difference means.
 */

export const surveyKinds = [
  'machine',
  'network',
  'storage pool',
  'file',
  'console log',
  'disks of a run',
  'export',
  'lease',
  'marker',
] as const;
export type SurveyKind = (typeof surveyKinds)[number];

export interface SurveyItem {
  readonly kind: SurveyKind;
  readonly name: string;
  /** In a few words, as the platform or the storage says it. */
  readonly state: string;
  /** Whose it is, where it says so itself. */
  readonly runId: string | null;
}

/** What replication of the server was doing at one moment. */
export interface ReplicationSeen {
  readonly at: string;
  /** Of the session; null: there is no replica. */
  readonly state: string | null;
  readonly heldBy: string | null;
  readonly points: number;
  readonly newestTakenAt: string | null;
  readonly lagMs: number | null;
}

export interface Survey {
  readonly at: string;
  readonly items: readonly SurveyItem[];
  /** Things of others that are not listed, so that a survey of a large site stays small: kind -> how many. */
  readonly others: Readonly<Record<string, number>>;
  readonly replication: ReplicationSeen;
}

/** Whose leftovers are looked for. */
export interface SurveyedRun {
  readonly runId: string;
  /** Names that are this run's whatever their tag says: its machine, the machine's uuid, networks that it makes. */
  readonly names: readonly string[];
}

export const surveyVerdicts = ['same', 'left behind', 'missing', 'changed', 'of others'] as const;
export type SurveyVerdict = (typeof surveyVerdicts)[number];

export interface SurveyRow {
  readonly kind: SurveyKind;
  readonly name: string;
  /** Its state then; null: it was not there. */
  readonly before: string | null;
  readonly after: string | null;
  readonly verdict: SurveyVerdict;
}

/** Whether an item is this run's own, by its tag or by its name. */
export function isOfRun(item: SurveyItem, run: SurveyedRun): boolean {
  if (item.runId !== null) return item.runId === run.runId;
  return item.name.includes(run.runId) || run.names.some((name) => item.name === name || holdsWord(item.name, name));
}

/** `/folder/<uuid>.console.log` holds the word <uuid>; `app01-rehearsal-1` does not hold `app01`. */
function holdsWord(text: string, word: string): boolean {
  const at = text.indexOf(word);
  if (at === -1) return false;
  const beside = [text[at - 1], text[at + word.length]];
  return beside.every((character) => character === undefined || !/[A-Za-z0-9-]/.test(character));
}

/**
 * Item by item. What the run owns must be gone, whatever was there before; what is nobody's in particular (`null` before: it
 * is not known what was there) must be as it was; what others changed meanwhile is told and proves nothing.
 */
export function compareSurveys(before: Survey | null, after: Survey, run: SurveyedRun): SurveyRow[] {
  const keyOf = (item: SurveyItem): string => `${item.kind} ${item.name}`;
  const then = new Map((before?.items ?? []).map((item) => [keyOf(item), item]));
  const now = new Map(after.items.map((item) => [keyOf(item), item]));
  return [...new Set([...then.keys(), ...now.keys()])].map((key) => {
    const [was, is] = [then.get(key), now.get(key)];
    const { kind, name } = (is ?? was)!;
    const row = { kind, name, before: was?.state ?? null, after: is?.state ?? null };
    return { ...row, verdict: verdictOn(was, is, run, before !== null) };
  });
}

function verdictOn(
  was: SurveyItem | undefined,
  is: SurveyItem | undefined,
  run: SurveyedRun,
  isKnownBefore: boolean,
): SurveyVerdict {
  const own = (item: SurveyItem | undefined): boolean => item !== undefined && isOfRun(item, run);
  if (own(is)) return 'left behind';
  // Gone, and this run's own: what an earlier clean-up of it had left.
  if (own(was)) return 'same';
  if (!isKnownBefore || (was?.state === is?.state && was?.runId === is?.runId)) return 'same';
  return isShared(was ?? is!) ? (is === undefined ? 'missing' : 'changed') : 'of others';
}

/** The server's own replica, where nobody but its session and its runs has anything to do. */
const isShared = ({ kind, runId }: SurveyItem): boolean => runId === null && (kind === 'marker' || kind === 'file');

/** What keeps a rehearsal from being proven clean. */
export const isDifference = ({ verdict }: SurveyRow): boolean =>
  verdict === 'left behind' || verdict === 'missing' || verdict === 'changed';

/** What to do about a thing that was left. */
export function remedyFor({ kind, name }: SurveyRow): string {
  switch (kind) {
    case 'machine':
      return `switch machine ${name} off and remove it`;
    case 'network':
      return `unplug what is on network ${name} and remove it`;
    case 'storage pool':
      return `end the storage pool ${name}`;
    case 'disks of a run':
    case 'file':
    case 'console log':
      return `see who has ${name} open (lsof), then let it be removed`;
    case 'export':
      return `let the target server close ${name}`;
    case 'lease':
      return `see which worker still works on ${name}`;
    case 'marker':
      return `see which run set the marker ${name}`;
  }
}

/** Replication counts as running while nobody holds the replica and its newest point is no older than the objective. */
export function isReplicating(seen: ReplicationSeen, limitMs: number): boolean {
  return isFree(seen) && seen.lagMs !== null && seen.lagMs <= limitMs;
}

const isFree = ({ state, heldBy }: ReplicationSeen): boolean => state === 'replicating' && heldBy === null;

export interface ReplicationRow extends ReplicationSeen {
  readonly moment: 'before' | 'during' | 'after';
  readonly ok: boolean;
}

/**
 * Replication before, during and after; a moment that nobody looked at is left out. Of a replica that nobody held while the machine
 * stood, a lag is forgiven when it has caught up since.
 */
export function replicationRows(
  seen: Readonly<Record<ReplicationRow['moment'], ReplicationSeen | null>>,
  limitMs: number,
): ReplicationRow[] {
  const caughtUp = seen.after !== null && isReplicating(seen.after, limitMs);
  return (['before', 'during', 'after'] as const).flatMap((moment) => {
    const one = seen[moment];
    if (one === null) return [];
    return [{ ...one, moment, ok: isReplicating(one, limitMs) || (moment === 'during' && isFree(one) && caughtUp) }];
  });
}

/**
 * Where replication ran before the rehearsal and did not go on. Nothing where it did not run before, or is not known to have; and
 * not where another run holds the replica, which is that run's doing.
 */
export function stoppedReplication(rows: readonly ReplicationRow[], { runId }: SurveyedRun): ReplicationRow[] {
  if (rows.find(({ moment }) => moment === 'before')?.ok !== true) return [];
  return rows.filter(({ ok, heldBy }) => !ok && (heldBy === null || heldBy === runId));
}
