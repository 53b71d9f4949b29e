/** Nights one after the other: seeds from a first one on, several abreast in each stack. */
import { playNight, type NightReport } from './night';
import { planOf, type Plan } from './plan';

export interface CampaignOptions {
  readonly firstSeed: number;
  readonly count: number;
  /** Seeds that share a night. Kills of one are met by all; so a night, not a seed, is what is repeated. */
  readonly abreast: number;
  readonly say: (line: string) => void;
}

/** Generous: a night takes a minute on an idle machine of two cores. */
const nightLimitMs = 10 * 60_000;

/** Plays all seeds; `say` tells each night's end, and of a bad one everything that is needed to repeat and understand it. */
export async function runCampaign({ firstSeed, count, abreast, say }: CampaignOptions): Promise<NightReport[]> {
  const reports: NightReport[] = [];
  for (let seed = firstSeed; seed < firstSeed + count; seed += abreast) {
    const seeds = Array.from({ length: Math.min(abreast, firstSeed + count - seed) }, (_, index) => seed + index);
    const begun = performance.now();
    const report = await playNight(seeds.map(planOf), nightLimitMs);
    const took = `${Math.round((performance.now() - begun) / 1000)} s`;
    const name = seeds.length === 1 ? `seed ${seed}` : `seeds ${seed} to ${seeds.at(-1)}`;
    say(
      `${name}: ${report.findings.length === 0 ? 'same ends' : `${report.findings.length} findings`}, ${report.killed} parts killed, ${took}`,
    );
    if (report.findings.length > 0) say(describeNight(report, abreast));
    reports.push(report);
  }
  return reports;
}

/** A bad night in full. */
export function describeNight({ plans, findings, diary, folder }: NightReport, abreast: number): string {
  return [
    ...findings.map((finding) => `  * ${finding}`),
    'The plans:',
    ...plans.map((plan) => `  ${describePlan(plan)}`),
    'What happened:',
    ...diary.map((line) => `  ${line}`),
    `The folder of the night is kept: ${folder}`,
    `Repeat it: npm run test:campaign -- --seed ${plans[0]?.seed} --count ${plans.length} --abreast ${abreast}`,
  ].join('\n');
}

export function describePlan(plan: Plan): string {
  const { seed, mode, intent, option, source, finalCycle, ending, faults, kills } = plan;
  const kind = mode === 'rehearsal' ? mode : intent;
  const end =
    'step' in ending
      ? `${ending.kind} ${ending.step}`
      : 'weakness' in ending
        ? `${ending.kind} ${ending.weakness.step}`
        : ending.kind;
  const fault = faults.map(({ method, when, error }) => `${error} ${when} ${method}`).join(', ') || 'no faults';
  const kill = kills
    .map((one) => `${one.parts.join('+')} at ${Object.values(one.moment).join(' ')} for ${one.downMs} ms`)
    .join(', ');
  return `seed ${seed}: ${kind}, ${option}, source ${source}, last cycle ${finalCycle}, ${end}; ${fault}; kills ${kill}`;
}
