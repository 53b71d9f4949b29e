/** The line that scripts read at the end of a test run. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countJest, summaryLine } from '../../tools/test.mjs';

const root = join(__dirname, '..', '..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-summary-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A checkout in which eslint, prettier, tsc and jest are programs of one line. */
function fakeCheckout(tools: { eslint: string; jest: string }) {
  const programs: Record<string, string> = {
    'eslint/bin/eslint.js': tools.eslint,
    'prettier/bin/prettier.cjs': '',
    'typescript/bin/tsc': '',
    'jest/bin/jest.js': tools.jest,
  };
  for (const [name, text] of Object.entries(programs)) {
    const file = join(folder, 'node_modules', name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
  }
  mkdirSync(join(folder, 'tools'));
  copyFileSync(join(root, 'tools/test.mjs'), join(folder, 'tools/test.mjs'));
}

function runTests(...args: string[]) {
  const result = spawnSync(process.execPath, [join(folder, 'tools/test.mjs'), ...args], { encoding: 'utf8' });
  return { exitCode: result.status, lastLine: result.stdout.trimEnd().split('\n').at(-1), said: result.stderr };
}

const jestWithResults = (results: object) =>
  `const out = process.argv.find((arg) => arg.startsWith('--outputFile=')).slice(13);
   require('fs').writeFileSync(out, ${JSON.stringify(JSON.stringify(results))});`;

test('the checks and the tests are summed up in the last line', () => {
  fakeCheckout({ eslint: '', jest: jestWithResults({ numPassedTests: 5, numPendingTests: 1, numTodoTests: 1 }) });
  expect(runTests('all')).toMatchObject({ exitCode: 0, lastLine: '8 passed, 0 failed, 2 skipped' });
});

test('so are those of several phases', () => {
  fakeCheckout({ eslint: '', jest: jestWithResults({ numPassedTests: 5, numTodoTests: 1 }) });
  expect(runTests('record')).toMatchObject({ exitCode: 0, lastLine: '10 passed, 0 failed, 2 skipped' });
});

test('a failed check counts as one failed test, and its output is shown', () => {
  fakeCheckout({ eslint: "console.log('a.ts: bad'); process.exit(1)", jest: jestWithResults({ numPassedTests: 5 }) });
  const { exitCode, lastLine, said } = runTests('quick');
  expect({ exitCode, lastLine }).toEqual({ exitCode: 1, lastLine: '7 passed, 1 failed, 0 skipped' });
  expect(said).toContain('a.ts: bad');
});

test('a jest that dies before it writes results is a failure', () => {
  fakeCheckout({ eslint: '', jest: 'process.exit(1)' });
  expect(runTests('quick')).toMatchObject({ exitCode: 1, lastLine: '3 passed, 1 failed, 0 skipped' });
});

test("the caller's arguments reach jest before the lists that would swallow them", () => {
  fakeCheckout({ eslint: '', jest: "console.error(process.argv.slice(2, 4).join(' ')); process.exit(1)" });
  expect(runTests('quick', 'test/model', '--bail').said).toContain('test/model --bail');
});

test('an unknown mode is wrong usage', () => {
  fakeCheckout({ eslint: '', jest: '' });
  expect(runTests('everything').exitCode).toBe(2);
});

test('a file that could not be run counts as one failed test', () => {
  const counts = countJest({ numPassedTests: 2, numFailedTests: 1, numRuntimeErrorTestSuites: 1 }, 1);
  expect(summaryLine([counts])).toBe('2 passed, 2 failed, 0 skipped');
});

test('tests that pass in a jest that ends badly are not a success', () => {
  expect(countJest({ numPassedTests: 2 }, 1).failed).toBe(1);
});
