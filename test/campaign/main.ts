/**
 * The campaign as a program: `npm run test:campaign -- [--seed 1] [--count 500] [--abreast 10]`.
 *
 * One line for each night; a bad night is told in full, its folder is kept and the line that repeats it is printed. Exit
 * code 0: every seed ended as it does undisturbed; 1: one did not; 2: wrong usage.
 */
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign';

const usage = 'Usage: npm run test:campaign -- [--seed FIRST] [--count HOW_MANY] [--abreast IN_ONE_NIGHT]';

async function main(): Promise<number> {
  const options = { seed: { type: 'string' }, count: { type: 'string' }, abreast: { type: 'string' } } as const;
  let numbers: number[];
  try {
    const { values } = parseArgs({ options });
    numbers = [values.seed ?? '1', values.count ?? '500', values.abreast ?? '10'].map(Number);
    if (!numbers.every((number) => Number.isSafeInteger(number) && number > 0))
      throw new Error('whole numbers above 0 are needed');
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
    return 2;
  }
  const [firstSeed, count, abreast] = numbers as [number, number, number];
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const reports = await runCampaign({ firstSeed, count, abreast, say });
  const bad = reports.filter((report) => report.findings.length > 0);
  const killed = reports.reduce((sum, report) => sum + report.killed, 0);
  say(`${count} seeds in ${reports.length} nights, ${killed} parts killed, ${bad.length} nights with findings`);
  return bad.length === 0 ? 0 : 1;
}

void main().then((code) => (process.exitCode = code));
