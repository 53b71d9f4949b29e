/** Rehearsals that start by themselves: what is agreed between the schedule, its workflow and who prepares it. */
import { formatDuration } from './durations';
import type { Provenance } from './order';
import type { PlanOrder } from './plan';
import type { ReplicaView } from './replica';
import type { Schedule } from './runbook/runbook';

export interface ScheduledRehearsal {
  readonly tenantId: string;
  readonly coreId: string;
  readonly runbook: string;
  /** Absent: its time has come. */
  readonly asked?: AskedRehearsal;
}

/** By whom a rehearsal is started out of its turn, and why: it is theirs then, and they do not approve what they asked for. */
export interface AskedRehearsal {
  readonly by: Provenance;
  readonly reason: string;
}

/** A server that the rehearsal would use. */
export interface RehearsedServer {
  readonly serverId: string;
  readonly name: string;
  readonly siteId: string;
  readonly rpoMs: number;
}

export type PreparedRehearsal =
  | {
      readonly kind: 'ready';
      readonly order: PlanOrder;
      readonly servers: readonly RehearsedServer[];
      /** How late it may start; null: no schedule says. */
      readonly catchUpMs: number | null;
    }
  | { readonly kind: 'skipped'; readonly because: string };

export interface PrepareRehearsal extends ScheduledRehearsal {
  readonly requestedBy: Provenance;
}

export interface SkippedRehearsal extends ScheduledRehearsal {
  readonly at: string;
  readonly because: string;
  readonly by: Provenance;
}

/** What became of one start of a schedule. */
export interface ScheduledOutcome {
  readonly runId: string | null;
  /** Why there is no run. */
  readonly skipped: string | null;
}

export const scheduleId = (tenantId: string, runbook: string): string => `${tenantId}/schedule/${runbook}`;
export const scheduledWorkflowType = 'scheduledRehearsal';
export const scheduledWorkflowId = (tenantId: string, runbook: string): string =>
  `${tenantId}/scheduled-rehearsal/${runbook}`;
/** Temporal itself appends the time to the id of what a schedule starts, so no schedule comes to this one. */
export const askedWorkflowId = (tenantId: string, runbook: string): string =>
  `${scheduledWorkflowId(tenantId, runbook)}/asked`;

/** Why it may not start any more, or null: what kept its preparation (no Postgres, no worker) makes no rehearsal by day of one by night. */
export function lateBecause(lateMs: number, catchUpMs: number | null): string | null {
  if (catchUpMs === null || lateMs <= catchUpMs) return null;
  return `it could be prepared ${formatDuration(lateMs)} after its time only, and may start ${formatDuration(catchUpMs)} late (catchUp)`;
}

/** Why these servers cannot be rehearsed now, or null. A rehearsal on an old point proves little, and takes the storage's time. */
export function behindBecause(servers: readonly RehearsedServer[], views: readonly ReplicaView[]): string | null {
  const byId = new Map(views.map((view) => [view.serverId, view]));
  const behind = servers.flatMap(({ serverId, name, rpoMs }) => {
    const view = byId.get(serverId);
    if (view === undefined || view.points.length === 0) return [`${name} has no complete point`];
    if (view.lagMs === null || view.lagMs <= rpoMs) return [];
    return [`the newest point of ${name} is ${formatDuration(view.lagMs)} old (RPO ${formatDuration(rpoMs)})`];
  });
  if (behind.length === 0) return null;
  const more = behind.length - mostNamed;
  return [...behind.slice(0, mostNamed), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

const mostNamed = 5;

/** A schedule in the words of Temporal's (ScheduleSpec): cron in its zone without the excepted days, all in that zone. */
export interface ScheduleSpecWords {
  readonly cronExpressions: string[];
  readonly timezone: string;
  readonly skip: {
    readonly year: number;
    readonly month: MonthName;
    readonly dayOfMonth: number;
    readonly hour: '*';
    readonly minute: '*';
    readonly second: '*';
  }[];
}

const months = [
  ...(['JANUARY', 'FEBRUARY', 'MARCH', 'APRIL', 'MAY', 'JUNE'] as const),
  ...(['JULY', 'AUGUST', 'SEPTEMBER', 'OCTOBER', 'NOVEMBER', 'DECEMBER'] as const),
] as const;
type MonthName = (typeof months)[number];

export function scheduleSpec({ cron, timezone, except }: Schedule): ScheduleSpecWords {
  const skip = except.map((date) => {
    const [year, month, dayOfMonth] = date.split('-').map(Number) as [number, number, number];
    return { year, month: months[month - 1]!, dayOfMonth, hour: '*', minute: '*', second: '*' } as const;
  });
  return { cronExpressions: [cron], timezone, skip };
}
