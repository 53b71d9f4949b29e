/** Past runs as they are kept, for tests of what is expected of the next. */
import type { PastTimes } from '../../../model/estimate/past';

const GiB = 1024 ** 3;
let counted = 0;

/** `seconds` to its proof, 60 of them to boot. */
export function pastRun(serverId: string, seconds: number, changes: Partial<PastTimes> = {}): PastTimes {
  counted += 1;
  return {
    runId: `run-${counted}`,
    procedure: 'push-button-recovery',
    mode: 'rehearsal',
    option: 'backup-and-recover',
    serverId,
    siteId: 'dr',
    diskBytes: 40 * GiB,
    closedAt: '2026-03-01T00:00:00.000Z',
    toProofMs: seconds * 1000,
    steps: { freeze: (seconds - 60) * 1000, 'power-on': 5_000, 'prove-boot': 55_000, 'resume-replication': 2_000 },
    ...changes,
  };
}

export const gibibytes = (count: number): number => count * GiB;
