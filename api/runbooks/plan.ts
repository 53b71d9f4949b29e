/** A runbook as it would run now: from a text that nobody has imported, or from a version that was. */
import { previewOf } from '../../model/estimate/preview';
import type { PlanOrder } from '../../model/plan';
import type { PlanRunbookInput, RunbookPlanDocument } from '../schemas/runbook-plan';
import { Problem } from '../problems';
import { plain } from '../register';
import { checkDocument, checkText, type CheckParts } from './check';
import { showRunbook } from './import';
import { pastTimes } from './past';

/** @throws Problem `not-found` for a name that nobody imported. */
export async function planRunbook(deps: CheckParts, input: PlanRunbookInput): Promise<RunbookPlanDocument> {
  const { mode } = input;
  const stored = await textOf(deps, input);
  const checked = await checkText(deps, stored.text, { mode });
  const plan = checked.plan && pinned(checked.plan, stored.version);
  const preview = plan && previewOf(plan, await pastTimes(deps, plan), deps.config.physicalMachines);
  return { ...checkDocument(checked), mode, plan: preview && plain<NonNullable<RunbookPlanDocument['plan']>>(preview) };
}

async function textOf(
  deps: CheckParts,
  { text, name, version }: PlanRunbookInput,
): Promise<{ text: string; version: number }> {
  if (text !== undefined) return { text, version: 0 };
  if (name === undefined) throw new Problem('validation', 'body needs `text` or `name`');
  return showRunbook(deps, name, version);
}

const pinned = (order: PlanOrder, version: number): PlanOrder => ({ ...order, runbook: { ...order.runbook, version } });
