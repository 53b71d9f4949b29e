/**
 * Twenty seeds of the campaign: recoveries among kills of workers, Temporal, Postgres and the API end as they do
 * undisturbed, with every effect once and nothing left behind. `npm run test:campaign` plays 500.
 */
import { describeNight, nightLimitMs, recoveries, runCampaign } from './campaign';
import { nightBesideMs } from './stage';

const seeds = 20;

test(
  'twenty recoveries among kills end as they do undisturbed',
  async () => {
    const options = { subject: recoveries, firstSeed: 1, count: seeds, abreast: seeds, say: () => undefined };
    const reports = await runCampaign(options);
    const bad = reports.filter((report) => report.findings.length > 0);
    expect(bad.map((report) => describeNight(report, options)).join('\n')).toBe('');
    // A campaign that kills nobody shows nothing.
    const killed = reports.flatMap((report) => report.killed);
    expect(killed.length).toBeGreaterThanOrEqual(seeds / 2);
  },
  nightLimitMs + nightBesideMs,
);
