/** Risks: what would keep a runbook or a server from being recovered in time, known before anybody needs it. */

export const riskKinds = [
  'replication',
  'space',
  'memory',
  'host',
  'secret',
  'network',
  'hardware',
  'target',
  'changed-source',
  'collision',
  'certificate',
  'rehearsal',
  'runbook',
  'not-asked',
] as const;
export type RiskKind = (typeof riskKinds)[number];

/** critical: a recovery would fail or lose more than its objective. warning: it may. info: worth knowing. */
export const severities = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof severities)[number];
/** The higher, the worse. */
export const rankOf = (severity: Severity): number => severities.indexOf(severity);

export const subjectKinds = ['server', 'runbook', 'site', 'installation'] as const;
export interface RiskSubject {
  readonly kind: (typeof subjectKinds)[number];
  readonly name: string;
}

/** A risk as one look finds it. */
export interface RiskFound {
  /** Stable while it lasts, and the same when it comes back: kind, subject and what about it. */
  readonly id: string;
  readonly kind: RiskKind;
  readonly severity: Severity;
  readonly subject: RiskSubject;
  /** Who was asked: a risk is over only when the same one is asked again and does not find it. */
  readonly source: string;
  readonly found: string;
  readonly needed: string;
  readonly remedy: string;
}

/** A risk as it is kept. Times are UTC. */
export interface Risk extends RiskFound {
  readonly since: string;
  readonly seenAt: string;
  readonly goneAt: string | null;
}

export const installationSource = 'installation';
export const siteSource = (siteId: string): string => `site:${siteId}`;

export type RiskWords = Pick<RiskFound, 'found' | 'needed' | 'remedy'>;

export function risk(
  kind: RiskKind,
  severity: Severity,
  subject: RiskSubject,
  about: string | null,
  source: string,
  words: RiskWords,
): RiskFound {
  const id = [kind, subject.kind, subject.name, ...(about === null ? [] : [about])].join('/');
  return { id, kind, severity, subject, source, ...words };
}

/** The worst of each id: the same risk is found once for every runbook that its server is in. */
export function worstOfEach(risks: readonly RiskFound[]): RiskFound[] {
  const byId = new Map<string, RiskFound>();
  for (const one of risks) {
    const before = byId.get(one.id);
    if (before === undefined || rankOf(one.severity) > rankOf(before.severity)) byId.set(one.id, one);
  }
  return [...byId.values()];
}

/** Worst first, then by subject and kind. */
export function byUrgency(a: RiskFound, b: RiskFound): number {
  return (
    rankOf(b.severity) - rankOf(a.severity) || a.subject.name.localeCompare(b.subject.name) || a.id.localeCompare(b.id)
  );
}
