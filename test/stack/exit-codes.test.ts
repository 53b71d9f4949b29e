import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodeHelp } from '../../stack/commands';
import { exitCodeMeanings, exitCodeOf, stackProblems } from '../../stack/exit-codes';

test('exit codes differ, and help and docs name each', () => {
  expect(new Set(stackProblems.map(exitCodeOf)).size).toBe(stackProblems.length);
  const docs = readFileSync(join(__dirname, '../../docs/configuration.md'), 'utf8');
  for (const problem of stackProblems) {
    expect(exitCodeHelp()).toContain(`${exitCodeOf(problem)}  ${exitCodeMeanings[problem]}`);
    expect(docs).toContain(`| ${exitCodeOf(problem)} | ${exitCodeMeanings[problem]} |`);
  }
});
