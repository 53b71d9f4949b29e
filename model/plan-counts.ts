/** How the end of a plan counts its servers: one wording for its summary, its report, mails and lists. */
import type { Mode } from './order';

/**
 * `2 of 2 servers recovered, 1 not proven`: what people recovered without a proof never reads as proven. `counted`: of what, as in
 * `1 of 2 included runbooks`; then the unproven are called servers, because they are no runbooks.
 */
export function recoveredWords(counted: string, mode: Mode, unproven: number): string {
  const ends = counted.endsWith('servers') ? '' : unproven === 1 ? ' server' : ' servers';
  return `${counted} ${mode === 'rehearsal' ? 'rehearsed' : 'recovered'}${unproven === 0 ? '' : `, ${unproven}${ends} not proven`}`;
}
