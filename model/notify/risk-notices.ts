/** What people are told of risks: when one appears and when it goes. */
import { printable } from '../names';
import type { RiskFound } from '../readiness/risks';
import { longestText, type Notice } from './notice';

const short = (text: string): string => printable(text).slice(0, longestText);

/** undefined: worth knowing and not worth a mail. `appearance`: the how manieth time it is there. */
export function riskNotice(
  risk: RiskFound,
  appearance: number,
  since: string,
  goneAt: string | null,
): Notice | undefined {
  const occasion = risk.kind === 'rehearsal' ? 'rehearsal-due' : 'risk';
  if (risk.severity === 'info' && occasion === 'risk') return undefined;
  const { found, needed, remedy, subject } = risk;
  return {
    key: `risk/${risk.id}`,
    epoch: appearance,
    occasion,
    stage: goneAt === null ? 0 : 1,
    facts: {
      ...{ run: null, step: null, item: null, allowed: [], state: null },
      name: short(subject.name),
      since,
      cause: short(`${found}; needed ${needed}`),
      remedy: short(remedy),
      over: goneAt !== null,
    },
  };
}
