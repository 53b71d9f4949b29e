/** What `muster doctor` answers: one entry for each check, under an id that stays, and their sum. */
import { z } from 'zod';

export const checkStates = ['ok', 'warning', 'problem'] as const;
export type CheckState = (typeof checkStates)[number];

const text = z.string();

/** One line of the report; `remedy` is empty where nothing has to be done. */
export const checkedSchema = z.strictObject({
  /** Stable: `tools.qemu-img`, `folders.data`, `clock.postgres`, `site.<id>.platform`. */
  id: z.string().regex(/^[a-z0-9][\w.:-]*$/),
  title: text,
  state: z.enum(checkStates),
  found: text,
  needed: text,
  remedy: text,
});
export type Checked = z.infer<typeof checkedSchema>;

/** The document of `muster doctor --json`. */
export const reportSchema = z.strictObject({
  version: text,
  at: z.iso.datetime(),
  host: text,
  user: text,
  /** The worst of the checks. */
  state: z.enum(checkStates),
  counts: z.strictObject({ ok: z.int(), warning: z.int(), problem: z.int() }),
  checks: z.array(checkedSchema),
  /** Ids of checks that could not be made, because what they ask does not answer; another check says why. */
  notAsked: z.array(text),
});
export type Report = z.infer<typeof reportSchema>;

/** What a check finds; its id and title are known before. */
export type Finding = Pick<Checked, 'state' | 'found' | 'needed' | 'remedy'>;

export const ok = (found: string, needed = ''): Finding => ({ state: 'ok', found, needed, remedy: '' });
export const warning = (found: string, needed: string, remedy: string): Finding => ({
  state: 'warning',
  found,
  needed,
  remedy,
});
export const problem = (found: string, needed: string, remedy: string): Finding => ({
  state: 'problem',
  found,
  needed,
  remedy,
});

/** Sums the checks up. */
export function reportOf(
  about: Pick<Report, 'version' | 'at' | 'host' | 'user'>,
  { checks, notAsked }: { readonly checks: readonly Checked[]; readonly notAsked: readonly string[] },
): Report {
  const count = (state: CheckState): number => checks.filter((check) => check.state === state).length;
  const counts = { ok: count('ok'), warning: count('warning'), problem: count('problem') };
  const state = counts.problem > 0 ? 'problem' : counts.warning > 0 ? 'warning' : 'ok';
  return { ...about, state, counts, checks: [...checks], notAsked: [...notAsked] };
}

/** 0: nothing keeps Muster from working, perhaps with warnings; 1: something does. */
export function exitCodeOf(report: Pick<Report, 'state'>): number {
  return report.state === 'problem' ? 1 : 0;
}
