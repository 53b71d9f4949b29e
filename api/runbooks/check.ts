/** A runbook's text against everything that is known here; what could not be asked is said, not guessed. */
import type { LocatedProblem, RunbookProblem } from '../../model/runbook/problems';
import { problem, warning } from '../../model/runbook/problems';
import { checkLimitsWithin } from '../../model/runbook/check-limits';
import { previewOf } from '../../model/estimate/preview';
import { warningsOf } from '../../model/estimate/reach';
import type { OrderProblem } from '../../model/orders/build-plan';
import type { Mode } from '../../model/order';
import type { PlanOrder } from '../../model/plan';
import type { RunbookFile } from '../../model/schema/runbook';
import type { ApiDeps } from '../deps';
import type { RunbookCheckDocument, RunbookProblemDocument } from '../schemas/runbooks';
import { askInventory, type Asked } from './inventory';
import { planWithout } from './order';
import { pastTimes } from './past';
import { createReader } from './reading';

const read = createReader();

export type CheckParts = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

export interface Checked {
  /** undefined: it cannot be read. */
  readonly file: RunbookFile | undefined;
  readonly problems: readonly LocatedProblem[];
  readonly notChecked: readonly string[];
  /** The plan as it would run now; null while there are errors or a failback is not prepared, or when Postgres could not be asked. */
  readonly plan: PlanOrder | null;
  readonly asked: Asked | null;
}

export interface CheckOptions {
  readonly mode?: Mode;
  /** False: its objectives are not held against past runs. Who starts it does not wait for warnings. */
  readonly estimate?: boolean;
}

/** Reads and checks it as a whole, with the runbooks that it includes. Throws as a Reader does, and as readStored. */
export function checkText(
  deps: CheckParts,
  text: string,
  { mode = 'recovery', estimate = true }: CheckOptions = {},
): Promise<Checked> {
  return read(text, async ({ file, unreadable, check }) => {
    if (file === undefined) return { file, problems: unreadable, notChecked: [], plan: null, asked: null };
    const asked = await askInventory(deps, file);
    const problems = await check(asked.inventory);
    const { notChecked } = asked;
    if (hasErrors(problems) || asked.inventory === null) return { file, problems, notChecked, plan: null, asked };
    const made = await planWithout(deps, text, file, asked, mode);
    if ('problems' in made) {
      const found = made.problems.map((one) => placed(file, one, asked));
      return { file, problems: await check(asked.inventory, found), notChecked, plan: null, asked };
    }
    const plan = made.ok;
    // Whoever starts it is not kept by a limit that nobody counts against.
    if (!estimate) return { file, problems, notChecked, plan, asked };
    const inVain = checkLimitsWithin(file, plan);
    if (inVain.length > 0) {
      return { file, problems: await check(asked.inventory, inVain), notChecked, plan: null, asked };
    }
    const warnings = [
      ...warningsOf(file, previewOf(plan, await pastTimes(deps, plan)).objectives),
      ...(mode === 'recovery' ? await rehearsalWarnings(deps, text, file, asked) : []),
    ];
    const found = warnings.length === 0 ? problems : await check(asked.inventory, warnings);
    return { file, problems: found, notChecked, plan, asked };
  });
}

/** What only the order of its rehearsal shows. It keeps nobody from recovering. */
async function rehearsalWarnings(
  deps: CheckParts,
  text: string,
  file: RunbookFile,
  asked: Asked,
): Promise<RunbookProblem[]> {
  const made = await planWithout(deps, text, file, asked, 'rehearsal');
  if ('ok' in made) return [];
  return made.problems.map((one) => {
    const said = placed(file, one, asked);
    return warning(said.at, `in a rehearsal: ${said.found}`, said.needed, said.remedy);
  });
}

export const hasErrors = (problems: readonly Pick<LocatedProblem, 'severity'>[]): boolean =>
  problems.some(({ severity }) => severity === 'error');

/** What keeps the order from being made, where it stands in this file: at the server, or at what includes its runbook. */
function placed(
  file: RunbookFile,
  { runbook, server, found, needed, remedy, isToDo }: OrderProblem,
  { runbooks }: Asked,
): RunbookProblem {
  const said = isToDo === true ? warning : problem;
  if (runbook !== file.name) {
    const index = file.includes.findIndex((one) => leadsTo(one.runbook, runbook, runbooks));
    const at = index < 0 ? ['includes'] : ['includes', index, 'runbook'];
    return said(at, `in runbook ${runbook}: ${found}`, needed, remedy);
  }
  const waves = file.waves.map(({ servers }) => servers.findIndex(({ name }) => name === server));
  const w = waves.findIndex((index) => index >= 0);
  const at = w >= 0 ? ['waves', w, 'servers', waves[w]!, 'name'] : file.includes.length > 0 ? ['includes'] : ['name'];
  return said(at, found, needed, remedy);
}

/** Whether a runbook is another, or includes it somewhere below. */
function leadsTo(from: string, to: string, runbooks: Asked['runbooks']): boolean {
  const seen = new Set([from]);
  for (const name of seen) {
    if (name === to) return true;
    runbooks.find((one) => one.name === name)?.includes.forEach((included) => seen.add(included));
  }
  return false;
}

export function checkDocument({ file, problems, notChecked }: Checked): RunbookCheckDocument {
  return {
    ok: !hasErrors(problems),
    name: file?.name ?? null,
    problems: problems.map(problemDocument),
    notChecked: [...notChecked],
  };
}

export function problemDocument({
  severity,
  position,
  at,
  found,
  needed,
  remedy,
}: LocatedProblem): RunbookProblemDocument {
  return { severity, ...position, at: [...at], found, needed, remedy: remedy ?? null };
}
