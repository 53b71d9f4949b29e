/** What people are told of risks: when one appears, when it has become worse, and when it goes. */
import { printable } from '../names';
import type { RiskFound } from '../readiness/risks';
import { longestText, type Notice } from './notice';

const short = (text: string): string => printable(text).slice(0, longestText);

/** Its place among the notices of one appearance: it came, it went, it has become worse. */
const stages = { there: 0, gone: 1, worse: 2 } as const;

/** undefined: worth knowing and not worth a mail. `appearance`: the how manieth time it is there. `worse`: than when it was told. */
export function riskNotice(
  risk: RiskFound,
  appearance: number,
  since: string,
  goneAt: string | null,
  worse = false,
): Notice | undefined {
  const occasion = risk.kind === 'rehearsal' ? 'rehearsal-due' : 'risk';
  if (risk.severity === 'info' && occasion === 'risk') return undefined;
  const { found, needed, remedy, subject } = risk;
  return {
    key: `risk/${risk.id}`,
    epoch: appearance,
    occasion,
    stage: stages[goneAt !== null ? 'gone' : worse ? 'worse' : 'there'],
    facts: {
      ...{ run: null, step: null, item: null, allowed: [], state: null },
      name: short(subject.name),
      since,
      cause: short(`${worse && risk.severity === 'critical' ? 'critical now: ' : ''}${found}; needed ${needed}`),
      remedy: short(remedy),
      over: goneAt !== null,
    },
  };
}
