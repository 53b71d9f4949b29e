/**
 * The campaign as a program: `npm run test:campaign -- [--of recoveries|runbooks] [--seed 1] [--count N] [--abreast N]`.
 *
 * One line for each night; a bad night is told in full, its folder is kept and the line that repeats it is printed. Exit
 * code 0: every seed ended as it does undisturbed; 1: one did not; 2: wrong usage.
 */
import { parseArgs } from 'node:util';
import { runCampaign, subjects, type NightReport } from './campaign';

const usage =
  'Usage: npm run test:campaign -- [--of recoveries|runbooks] [--seed FIRST] [--count HOW_MANY] [--abreast IN_ONE_NIGHT]';

const option = { type: 'string' } as const;

async function main(): Promise<number> {
  let asked: { of: string | undefined; seed: number; count: number | undefined; abreast: number | undefined };
  try {
    const { values } = parseArgs({ options: { of: option, seed: option, count: option, abreast: option } });
    const { of, seed = '1', count, abreast } = values;
    asked = { of, seed: number(seed), count: optional(count), abreast: optional(abreast) };
    if (of !== undefined && !subjects.some(({ name }) => name === of))
      throw new Error(`--of ${of}: needed one of ${subjects.map(({ name }) => name).join(', ')}`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
    return 2;
  }
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const all: NightReport[] = [];
  for (const subject of subjects.filter(({ name }) => asked.of === undefined || asked.of === name)) {
    const { count = subject.count, abreast = subject.abreast, seed: firstSeed } = asked;
    const reports = await runCampaign({ subject, firstSeed, count, abreast, say });
    const killed = reports.flatMap((report) => report.killed);
    const bad = reports.filter((report) => report.findings.length > 0).length;
    say(
      `${subject.name}: ${count} seeds in ${reports.length} nights, ${killed.length} parts killed, ${bad} nights with findings`,
    );
    all.push(...reports);
  }
  return all.every(({ findings }) => findings.length === 0) ? 0 : 1;
}

const optional = (text: string | undefined): number | undefined => (text === undefined ? undefined : number(text));

function number(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${text}: whole numbers above 0 are needed`);
  return value;
}

void main().then((code) => {
  process.exitCode = code;
  // A night that was given up may go on in this process.
  setTimeout(() => process.exit(), 5_000).unref();
});
