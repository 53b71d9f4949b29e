/** Nights one after the other: seeds from a first one on, several abreast in each stack. */
import { playNight } from './night';
import { planOf, type Kill, type Plan } from './plan';
import { playRunbooks } from './runbooks/night';
import { runbookSeed, serversOfRunbook } from './runbooks/seed';
import type { NightEnd } from './stage';

/** What seeds stand for: recoveries of single servers, or runs of whole runbooks. */
export interface Subject {
  readonly name: 'recoveries' | 'runbooks';
  /** Seeds of a whole campaign. */
  readonly count: number;
  /** How many of them share a night. */
  readonly abreast: number;
  readonly play: (seeds: readonly number[], limitMs: number) => Promise<NightEnd>;
  /** A seed in one line. */
  readonly describe: (seed: number) => string;
}

export const recoveries: Subject = {
  ...{ name: 'recoveries', count: 500, abreast: 10 },
  play: (seeds, limitMs) => playNight(seeds.map(planOf), limitMs),
  describe: (seed) => describePlan(planOf(seed)),
};

export const runbooks: Subject = {
  ...{ name: 'runbooks', count: 200, abreast: 3 },
  play: (seeds, limitMs) => playRunbooks(seeds.map(runbookSeed), limitMs),
  describe(seed) {
    const { mode, ending, kills } = runbookSeed(seed);
    return `seed ${seed}: ${mode} of ${serversOfRunbook} servers, ${ending}; kills ${describeKills(kills)}`;
  },
};

export const subjects: readonly Subject[] = [recoveries, runbooks];

export interface CampaignOptions {
  readonly subject: Subject;
  readonly firstSeed: number;
  readonly count: number;
  /** Seeds that share a night. Kills of one are met by all; so a night, not a seed, is what is repeated. */
  readonly abreast: number;
  readonly say: (line: string) => void;
}

export interface NightReport extends NightEnd {
  readonly seeds: readonly number[];
}

/** Generous: a night takes a minute or two on an idle machine of two cores. */
export const nightLimitMs = 20 * 60_000;

/** Plays all seeds; `say` tells each night's end, and of a bad one everything that is needed to repeat and understand it. */
export async function runCampaign(options: CampaignOptions): Promise<NightReport[]> {
  const { subject, firstSeed, count, abreast, say } = options;
  const reports: NightReport[] = [];
  for (let seed = firstSeed; seed < firstSeed + count; seed += abreast) {
    const seeds = Array.from({ length: Math.min(abreast, firstSeed + count - seed) }, (_, index) => seed + index);
    const begun = performance.now();
    const report: NightReport = { seeds, ...(await subject.play(seeds, nightLimitMs)) };
    const took = `${Math.round((performance.now() - begun) / 1000)} s`;
    const name = seeds.length === 1 ? `seed ${seed}` : `seeds ${seed} to ${seeds.at(-1)}`;
    say(
      `${subject.name}, ${name}: ${report.findings.length === 0 ? 'same ends' : `${report.findings.length} findings`}, ${report.killed.length} parts killed, ${took}`,
    );
    if (report.findings.length > 0) say(describeNight(report, options));
    reports.push(report);
  }
  return reports;
}

/** A bad night in full. */
export function describeNight(
  { seeds, findings, diary, folder }: NightReport,
  { subject, abreast }: Pick<CampaignOptions, 'subject' | 'abreast'>,
): string {
  const again = `--of ${subject.name} --seed ${seeds[0]} --count ${seeds.length} --abreast ${abreast}`;
  return [
    ...findings.map((finding) => `  * ${finding}`),
    'The seeds:',
    ...seeds.map((seed) => `  ${subject.describe(seed)}`),
    'What happened:',
    ...diary.map((line) => `  ${line}`),
    `The folder of the night is kept: ${folder}`,
    `Repeat it: npm run test:campaign -- ${again}`,
  ].join('\n');
}

function describePlan(plan: Plan): string {
  const { seed, mode, intent, option, source, finalCycle, ending, faults, kills } = plan;
  const kind = mode === 'rehearsal' ? mode : intent;
  const end =
    'step' in ending
      ? `${ending.kind} ${ending.step}`
      : 'weakness' in ending
        ? `${ending.kind} ${ending.weakness.step}`
        : ending.kind;
  const fault = faults.map(({ method, when, error }) => `${error} ${when} ${method}`).join(', ') || 'no faults';
  return `seed ${seed}: ${kind}, ${option}, source ${source}, last cycle ${finalCycle}, ${end}; ${fault}; kills ${describeKills(kills)}`;
}

const describeKills = (kills: readonly Kill[]): string =>
  kills
    .map((one) => `${one.parts.join('+')} at ${Object.values(one.moment).join(' ')} for ${one.downMs} ms`)
    .join(', ');
