/** Whether a plan's objectives can be met, as far as past runs tell: its times, and how old the recovery points were. */
import type { PlanOrder, ServerOfPlan } from '../plan';
import { warning, type PlaceInFile, type RunbookProblem } from '../runbook/problems';
import type { RunbookFile } from '../schema/runbook';
import { formatDuration } from '../durations';
import type { Expect } from './expectations';
import type { SimulatedPlan, Span } from './simulate';

/** The RTO counts from the button to the last proven service that it is about; people's time is not in it. */
export interface Reach {
  readonly objective: 'rto' | 'rpo';
  /** null: the whole runbook. */
  readonly of: { readonly kind: 'tier' | 'server'; readonly name: string } | null;
  readonly targetMs: number;
  readonly expectedMs: number;
  /** It may be more: of some of it nothing is known. */
  readonly atLeast: boolean;
  /** unknown: of some of it nothing is known, and what is known is within the target. */
  readonly verdict: 'in reach' | 'out of reach' | 'unknown';
}

/**
 * Of the whole and of tiers with the servers of what it includes, as the run's report counts them; of each server only where it is the
 * runbook's own, for what it includes is checked by itself, too.
 */
export function reachOf(order: PlanOrder, plan: SimulatedPlan, expect: Expect): Reach[] {
  const all = membersOf(order, plan);
  const whole = { rto: plan, rpo: worstPoint(all, expect) };
  const { objectives } = order.plan;
  const tiers = Object.entries(objectives.tiers).flatMap(([name, targets]) => {
    const members = all.filter(({ order: { server } }) => String(server.tier) === name);
    return members.length === 0 ? [] : reaches({ kind: 'tier', name }, targets, endsOf(members, expect));
  });
  const own = all.slice(0, order.servers.length);
  const each = own.flatMap((one) =>
    reaches({ kind: 'server', name: one.name }, one.order.server.objectives, endsOf([one], expect)),
  );
  return [...reaches(null, objectives, whole), ...tiers, ...each.filter(({ verdict }) => verdict === 'out of reach')];
}

interface Member extends ServerOfPlan {
  readonly span: Span;
}

/** Its own first. */
function membersOf({ servers, parts }: PlanOrder, plan: SimulatedPlan): Member[] {
  return [
    ...servers.map((server) => ({ ...server, span: plan.servers.get(server.name)! })),
    ...parts.flatMap((part) => membersOf(part.order, plan.parts.get(part.name)!)),
  ];
}

interface End {
  readonly endsMs: number;
  readonly atLeast: boolean;
}

const endsOf = (members: readonly Member[], expect: Expect): Readonly<Record<Reach['objective'], End>> => ({
  rto: last(members),
  rpo: worstPoint(members, expect),
});

/** Of at least one server; of none it has not begun. */
function last(members: readonly Member[]): End {
  return {
    endsMs: Math.max(0, ...members.map(({ span }) => span.endsMs)),
    atLeast: members.some(({ span }) => span.atLeast),
  };
}

/** The oldest of the points that are usual of each. */
function worstPoint(servers: readonly ServerOfPlan[], expect: Expect): End {
  const points = servers.map((server) => expect(server)?.rpo ?? null);
  return {
    endsMs: Math.max(0, ...points.map((point) => point?.medianMs ?? 0)),
    atLeast: points.length === 0 || points.includes(null),
  };
}

function reaches(
  of: Reach['of'],
  { rtoMs, rpoMs }: { readonly rtoMs: number | null; readonly rpoMs: number | null },
  ends: Readonly<Record<Reach['objective'], End>>,
): Reach[] {
  return [
    ...(rtoMs === null ? [] : [reach('rto', of, rtoMs, ends.rto)]),
    ...(rpoMs === null ? [] : [reach('rpo', of, rpoMs, ends.rpo)]),
  ];
}

function reach(objective: Reach['objective'], of: Reach['of'], targetMs: number, { endsMs, atLeast }: End): Reach {
  const verdict = endsMs > targetMs ? 'out of reach' : atLeast ? 'unknown' : 'in reach';
  return { objective, of, targetMs, expectedMs: endsMs, atLeast, verdict };
}

/** Objectives out of reach, as warnings at the places where the file names them. */
export function warningsOf(file: RunbookFile, found: readonly Reach[]): RunbookProblem[] {
  return found
    .filter(({ verdict }) => verdict === 'out of reach')
    .map((one) => {
      const { objective, of, targetMs, expectedMs, atLeast } = one;
      const [expected, target] = [expectedMs, targetMs].map(formatDuration);
      const what = `an ${objective.toUpperCase()} of ${target}${of === null ? '' : ` for ${of.kind} ${of.name}`}`;
      const { shown, needed, remedy } = words[objective];
      return warning(
        placeOf(file, one),
        `${what}, and ${atLeast ? 'at least ' : ''}${expected}${shown}`,
        needed,
        remedy,
      );
    });
}

const words: Readonly<Record<Reach['objective'], { shown: string; needed: string; remedy: string }>> = {
  rto: {
    shown: ' from past runs',
    needed: 'a plan as fast as its objective',
    remedy:
      'Let more run at once, or earlier (`muster runbook plan` says what it waits for), or state what can be kept.',
  },
  rpo: {
    shown: ' between the recovery point and the button in past runs',
    needed: 'recovery points as close together as the objective',
    remedy: 'Take points more often, see why replication is behind (`muster replicas`), or state what can be kept.',
  },
};

function placeOf(file: RunbookFile, { of, objective }: Pick<Reach, 'of' | 'objective'>): PlaceInFile {
  if (of === null) return ['objectives', objective];
  if (of.kind === 'tier') return ['objectives', 'tiers', of.name, objective];
  const at = file.waves.flatMap((wave, w) =>
    wave.servers.flatMap((server, s) => (server.name === of.name ? [{ w, s, server }] : [])),
  )[0];
  if (at === undefined) return ['waves'];
  const isHere = at.server.objectives?.[objective] !== undefined;
  return ['waves', at.w, 'servers', at.s, ...(isHere ? ['objectives', objective] : ['name'])];
}
