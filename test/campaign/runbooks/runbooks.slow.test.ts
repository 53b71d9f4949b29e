/**
 * Three seeds of the campaign's runbooks: twenty servers each, with a worker, Temporal, Postgres and the API killed meanwhile, end
 * as they do undisturbed, with every effect once and nothing left behind. `npm run test:campaign` plays 200.
 */
import { describeNight, nightLimitMs, runbooks, runCampaign } from '../campaign';
import { nightBesideMs } from '../stage';

const seeds = 3;

test(
  'three runbooks among kills end as they do undisturbed',
  async () => {
    const options = { subject: runbooks, firstSeed: 1, count: seeds, abreast: seeds, say: () => undefined };
    const reports = await runCampaign(options);
    const bad = reports.filter((report) => report.findings.length > 0);
    expect(bad.map((report) => describeNight(report, options)).join('\n')).toBe('');
    // Four kills a seed; a part that is down already is not killed again.
    const killed = reports.flatMap((report) => report.killed);
    expect(killed.length).toBeGreaterThanOrEqual(seeds * 2);
    const kinds = new Set(killed.map((part) => (part === 'second-worker' ? 'worker' : part)));
    expect([...kinds].sort()).toEqual(['api', 'postgres', 'temporal', 'worker']);
  },
  nightLimitMs + nightBesideMs,
);
