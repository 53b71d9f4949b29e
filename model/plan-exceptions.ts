/**
 * What of a plan was not done as it should have been: servers that were skipped or given up, steps that were skipped in their runs or
 * in the plan's own, undos that were skipped. Included runbooks at any depth are looked through with it.
 */
import type { Provenance } from './order';
import type { PartView } from './plan-view/parts';
import type { PlanView } from './plan-view/plan-view';
import type { LeftByRun, ServerOfPlanView } from './plan-view/server-of-plan';
import type { Skip } from './skips';

export interface PlanException {
  /** A server, an included runbook or a step of the plan. */
  readonly what: string;
  readonly kind: 'skipped' | 'failed' | 'not-undone' | 'step-skipped';
  /** Names of the included runbooks that it is in, the outermost first; empty: in the plan itself. */
  readonly within: readonly string[];
  readonly reason: string;
  readonly by: Provenance | null;
  readonly at: string | null;
  readonly runId: string | null;
}

/** A plan or an included runbook, as its own record or its row has it. */
interface Looked {
  readonly within: readonly string[];
  /** null: the plan itself, whose run is the report's. */
  readonly runId: string | null;
  readonly servers: readonly ServerOfPlanView[];
  readonly parts: readonly PartView[];
  readonly skips: readonly Skip[];
}

/** Steps whose items are servers and included runbooks: each of those is told by its own state. */
const stepsOfRuns: readonly string[] = ['recover', 'include'];
const noReason = 'No reason is in the record.';

export function planExceptions(view: PlanView): PlanException[] {
  const skips = view.decisions.flatMap(({ step, item, epoch, decision, reason, by, at }): Skip[] => {
    const undo = view.parkings.some((parking) => parking.epoch === epoch && parking.undo);
    return decision === 'skip' && step !== null ? [{ step, item, undo, reason, by, at }] : [];
  });
  const { waves, parts } = view;
  const servers = waves.flatMap((wave) => wave.servers);
  const titles = new Map(view.steps.map(({ id, title }) => [id, title]));
  const exceptions = within({ within: [], runId: null, servers, parts, skips }, titles);
  // A step without an item that ended as skipped though nobody decided so there: an earlier version's record.
  const told = new Set(skips.map(({ step }) => step));
  const untold = view.steps.flatMap(({ id, title, state, items, because }): PlanException[] => {
    if (state !== 'skipped' || items.length > 0 || told.has(id)) return [];
    return [{ what: title, kind: 'skipped', within: [], reason: because ?? noReason, by: null, at: null, runId: null }];
  });
  return [...exceptions, ...untold];
}

function within(looked: Looked, titles: ReadonlyMap<string, string>): PlanException[] {
  const { servers, parts, skips } = looked;
  return [
    ...servers.flatMap((server) => ofServer(server, looked)),
    ...parts.flatMap((part) => ofPart(part, looked, titles)),
    ...ofSteps(skips, looked, titles),
  ];
}

function ofServer({ name, stage, runId, skipped, skips, left }: ServerOfPlanView, looked: Looked): PlanException[] {
  const skip = looked.skips.findLast((one) => one.step === 'recover' && one.item === name && !one.undo);
  const by = { by: skip?.by ?? null, at: skip?.at ?? null, runId };
  const all = { what: name, within: looked.within };
  const notUndone = left.map((one) => ofLeft(one, looked.within));
  if (stage === 'skipped')
    return [{ ...all, kind: 'skipped', reason: skip?.reason ?? 'Its own record says why.', ...by }, ...notUndone];
  if (stage === 'failed' || stage === 'aborted') {
    const failed = 'It was stuck for as long as the runbook gives it, and was undone.';
    const reason = stage === 'failed' ? (skip?.reason ?? failed) : 'Its own run was aborted.';
    return [{ ...all, kind: 'failed', reason, ...by }, ...notUndone];
  }
  const forward = skips.filter(({ undo }) => !undo);
  // A step whose undo was skipped reads as skipped in its own run, too.
  const own = skipped.filter((step) => !left.some((one) => one.step === step && one.runId === runId));
  const steps = [...new Set([...own, ...forward.map(({ step }) => step)])];
  if (steps.length > 0) {
    const last = forward.at(-1);
    const reason = `Skipped in its own run: ${steps.map((step) => stepWords(step, forward)).join(', ')}.`;
    const skippedSteps = { ...all, reason, by: last?.by ?? null, at: last?.at ?? null, runId };
    return [{ ...skippedSteps, kind: 'step-skipped' }, ...notUndone];
  }
  if (stage !== 'succeeded-with-exceptions') return notUndone;
  return [
    { ...all, kind: 'step-skipped', reason: 'Its own record says what was not done, or ended with a warning.', ...by },
    ...notUndone,
  ];
}

function ofLeft({ of, step, item, reason, by, at, runId }: LeftByRun, path: readonly string[]): PlanException {
  const place = item === null ? step : `${step}/${item}`;
  return { what: of, kind: 'not-undone', within: path, reason: `${place}: ${reason}`, by, at, runId };
}

function stepWords(step: string, skips: readonly Skip[]): string {
  const of = skips.filter((one) => one.step === step);
  const words = of.map(({ item, reason }) => (item === null ? reason : `${item}: ${reason}`));
  return words.length === 0 ? step : `${step} (${words.join('; ')})`;
}

function ofPart(part: PartView, looked: Looked, titles: ReadonlyMap<string, string>): PlanException[] {
  const { name, runId, state, servers, parts, skips, left } = part;
  const path = [...looked.within, name];
  const inside = [
    ...within({ within: path, runId, servers, parts, skips: skips ?? [] }, titles),
    ...left.map((one) => ofLeft(one, path)),
  ];
  const skip = looked.skips.findLast((one) => one.step === 'include' && one.item === name && !one.undo);
  const by = { by: skip?.by ?? null, at: skip?.at ?? null, runId };
  const all = { what: `Runbook ${name}`, within: looked.within, ...by };
  if (part.skipped) {
    return [{ ...all, kind: 'skipped', reason: skip?.reason ?? 'Its own record says why.' }, ...inside];
  }
  if (inside.length > 0 || state !== 'succeeded-with-exceptions') return inside;
  return [{ ...all, kind: 'step-skipped', reason: 'Its own record says what was not done.' }];
}

/** Its own steps: scripts, networks, clean-up; and the undo of anything, also of a server. */
function ofSteps(skips: readonly Skip[], { within: path, runId }: Looked, titles: ReadonlyMap<string, string>) {
  return skips
    .filter(({ step, undo }) => undo || !stepsOfRuns.includes(step))
    .map(({ step, item, undo, reason, by, at }): PlanException => {
      const title = titles.get(step) ?? step;
      const what = item === null ? title : `${title}: ${item}`;
      return { what, kind: undo ? 'not-undone' : 'skipped', within: path, reason, by, at, runId };
    });
}
