/** How the end of a plan counts its servers: one wording for its summary, its report, mails and lists. */
import type { Mode } from './order';

export interface PlanCounts {
  /** `2 of 2 servers`, `1 of 2 included runbooks`. */
  readonly counted: string;
  /** Nothing but servers was counted: then the unproven need not be called so. */
  readonly onlyServers: boolean;
  readonly unproven: number;
}

/** `2 of 2 servers recovered, 1 not proven`: what people recovered without a proof never reads as proven. */
export function recoveredWords({ counted, onlyServers, unproven }: PlanCounts, mode: Mode): string {
  const ends = onlyServers ? '' : unproven === 1 ? ' server' : ' servers';
  return `${counted} ${mode === 'rehearsal' ? 'rehearsed' : 'recovered'}${unproven === 0 ? '' : `, ${unproven}${ends} not proven`}`;
}
