/** Whether a plan's time objectives can be met, as far as past runs tell. */
import type { PlanOrder, ServerOfPlan } from '../plan';
import { warning, type PlaceInFile, type RunbookProblem } from '../runbook/problems';
import type { RunbookFile } from '../schema/runbook';
import { formatDuration } from '../durations';
import type { SimulatedPlan } from './simulate';

/** An objective counts from the button to the last proven service that it is about; people's time is not in it. */
export interface Reach {
  /** null: the whole runbook. */
  readonly of: { readonly kind: 'tier' | 'server'; readonly name: string } | null;
  readonly targetMs: number;
  readonly expectedMs: number;
  readonly atLeast: boolean;
  /** unknown: some of it never ran here, and what did run is within the target. */
  readonly verdict: 'in reach' | 'out of reach' | 'unknown';
}

/** Of this runbook; what it includes has objectives of its own. */
export function reachOf(order: PlanOrder, plan: SimulatedPlan): Reach[] {
  const { rtoMs, tiers } = order.plan.objectives;
  const whole = rtoMs === null ? [] : [reach(null, rtoMs, plan)];
  const byTier = Object.entries(tiers).flatMap(([name, one]) => {
    const servers = order.servers.filter(({ order: { server } }) => String(server.tier) === name);
    return one.rtoMs === null || servers.length === 0
      ? []
      : [reach({ kind: 'tier', name }, one.rtoMs, last(servers, plan))];
  });
  const each = order.servers.map((server) =>
    reach({ kind: 'server', name: server.name }, server.order.server.objectives.rtoMs, last([server], plan)),
  );
  return [...whole, ...byTier, ...each.filter(({ verdict }) => verdict === 'out of reach')];
}

interface End {
  readonly endsMs: number;
  readonly atLeast: boolean;
}

function last(servers: readonly ServerOfPlan[], plan: SimulatedPlan): End {
  const ends = servers.map(({ name }) => plan.servers.get(name)!);
  return { endsMs: Math.max(...ends.map(({ endsMs }) => endsMs)), atLeast: ends.some(({ atLeast }) => atLeast) };
}

function reach(of: Reach['of'], targetMs: number, { endsMs, atLeast }: End): Reach {
  const verdict = endsMs > targetMs ? 'out of reach' : atLeast ? 'unknown' : 'in reach';
  return { of, targetMs, expectedMs: endsMs, atLeast, verdict };
}

/** Objectives out of reach, as warnings at the places where the file names them. */
export function warningsOf(file: RunbookFile, reaches: readonly Reach[]): RunbookProblem[] {
  return reaches
    .filter(({ verdict }) => verdict === 'out of reach')
    .map(({ of, targetMs, expectedMs, atLeast }) => {
      const [found, needed] = [expectedMs, targetMs].map(formatDuration);
      return warning(
        placeOf(file, of),
        `an RTO of ${needed}${of === null ? '' : ` for ${of.kind} ${of.name}`}, and ${atLeast ? 'at least ' : ''}${found} from past runs`,
        'a plan as fast as its objective',
        'Let more run at once, or earlier (`muster runbook plan` says what it waits for), or state what can be kept.',
      );
    });
}

function placeOf(file: RunbookFile, of: Reach['of']): PlaceInFile {
  if (of === null) return ['objectives', 'rto'];
  if (of.kind === 'tier') return ['objectives', 'tiers', of.name, 'rto'];
  const at = file.waves.flatMap((wave, w) =>
    wave.servers.flatMap((server, s) => (server.name === of.name ? [{ w, s, server }] : [])),
  )[0];
  if (at === undefined) return ['waves'];
  return ['waves', at.w, 'servers', at.s, ...(at.server.objectives === undefined ? ['name'] : ['objectives', 'rto'])];
}
