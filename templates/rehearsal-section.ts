/** What a rehearsal's report shows beside a recovery's: isolation, replication, and the site before and after, item by item. */
import { formatDuration, formatTime } from '../model/durations';
import { networksGone } from '../model/plan-rehearsed';
import type { RunReport } from '../model/report';
import { isDifference, type SurveyRow } from '../model/survey';

type Fields = Readonly<Record<string, unknown>>;

/** Absent parts of a record, perhaps of another version, are shown as absent. */
const listOf = (value: unknown, name: string): readonly Fields[] => {
  const list = typeof value === 'object' && value !== null ? (value as Fields)[name] : undefined;
  return Array.isArray(list) ? (list as Fields[]) : [];
};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export function rehearsalSection({ order, steps }: RunReport) {
  const resultOf = (id: string): unknown => steps.find((step) => step.id === id && step.state === 'done')?.result;
  const clean = resultOf('prove-clean');
  const rows = listOf(clean, 'rows') as unknown as readonly SurveyRow[];
  const owner = order.isolation?.ownerRunId ?? order.runId;
  return {
    given: order.isolation !== undefined,
    /** Of a plan: its run, which makes and removes the networks of all its servers. */
    plan: owner === order.runId ? '' : owner,
    gone: networksGone(resultOf('remove-networks')).map(({ gone, lookedAt }) => ({
      ...{ names: gone.join(', '), lookedAt: formatTime(lookedAt) },
    })),
    proven: clean !== undefined && clean !== null,
    cards: listOf(resultOf('prove-isolation'), 'nics').map(({ macAddress, network, isolatedBy }) => ({
      ...{ macAddress: text(macAddress), network: text(network), isolatedBy: text(isolatedBy) },
    })),
    replication: listOf(clean, 'replication').map(({ moment, at, state, lagMs, ok }) => ({
      ...{ moment: text(moment), at: formatTime(text(at)), state: text(state), ok: ok === true },
      lag: typeof lagMs === 'number' ? formatDuration(lagMs) : 'no point',
    })),
    rows: rows.map((row) => ({
      ...{ kind: row.kind, name: row.name, verdict: row.verdict, ok: !isDifference(row) },
      ...{ before: row.before ?? 'not there', after: row.after ?? 'not there' },
    })),
  };
}
