/**
 * Runs the checks and the tests, and sums them up in one last line: `N passed, N failed, N skipped`.
 *
 *     node tools/test.mjs all|quick|record [arguments for jest]
 *
 * quick: eslint, prettier, tsc, and the tests that need no guest and no whole stack. all: the rest too, in one run of jest.
 * record: runs the workflow tests so that they write test/replay/histories anew, then replays them.
 * The checks run beside jest, whose tests wait a good part of their time; what they have to say comes when jest is done.
 * Each of the three checks counts as one test. Exit code 0: nothing failed; 1: something did; 2: wrong usage.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What the checks know of unchanged files. Quick runs only: the whole suite looks at everything anew. */
const cache = (name) => path.join('node_modules', '.cache', 'muster', name);

const checks = [
  {
    name: 'eslint',
    args: ['node_modules/eslint/bin/eslint.js', '.'],
    quick: ['--cache', '--cache-strategy', 'content', '--cache-location', cache('eslint.json')],
  },
  {
    name: 'prettier',
    args: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
    quick: ['--cache', '--cache-strategy', 'content', '--cache-location', cache('prettier.json')],
  },
  {
    name: 'tsc',
    args: ['node_modules/typescript/bin/tsc', '--noEmit'],
    quick: ['--incremental', '--tsBuildInfoFile', cache('tsc.json')],
  },
];
const quickChecks = checks.map(({ name, args, quick }) => ({ name, args: [...args, ...quick] }));

const slow = String.raw`\.(guest|slow)\.test\.ts$`;
const notSlow = ['--testPathIgnorePatterns', '/node_modules/', '--testPathIgnorePatterns', slow];
/** As many as the cores that the suite is made for: with a third, emulated guests wait for each other (test/support/order-of-files.js). */
const wholeSuite = ['--maxWorkers=2'];

const plans = {
  quick: { checks: quickChecks, jest: [{ args: notSlow }] },
  all: { checks, jest: [{ args: wholeSuite }] },
  record: {
    checks: [],
    jest: [
      { args: ['--testPathPatterns', 'test/workflows/'], env: { MUSTER_RECORD: '1' } },
      { args: ['--testPathPatterns', 'test/replay/'] },
    ],
  },
};

/** Runs a program from the checkout and returns its exit code; 1 when a signal ended it. */
function node(args, { env = {}, stdio = 'inherit' } = {}) {
  const child = spawn(process.execPath, args, { cwd: root, stdio, env: { ...process.env, ...env } });
  const output = [];
  child.stdout?.on('data', (chunk) => output.push(chunk));
  child.stderr?.on('data', (chunk) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(output).toString() }));
  });
}

/** One after the other. */
async function runChecks(list) {
  const results = [];
  for (const check of list) results.push({ ...check, ...(await node(check.args, { stdio: 'pipe' })) });
  return results;
}

/** A check that is content says nothing. */
function countChecks(results) {
  for (const { name, code, output } of results) if (code !== 0) console.error(`${name} failed:\n${output}`);
  const failed = results.filter(({ code }) => code !== 0).length;
  return { passed: results.length - failed, failed, skipped: 0 };
}

async function runJest({ args, env }, more) {
  const folder = mkdtempSync(path.join(tmpdir(), 'muster-jest-'));
  const resultsPath = path.join(folder, 'results.json');
  const jest = 'node_modules/jest/bin/jest.js';
  const common = ['--passWithNoTests', '--json', `--outputFile=${resultsPath}`];
  try {
    // jest's list options swallow what follows them, so the caller's arguments come first.
    const { code } = await node([jest, ...more, ...common, ...args], { env });
    return countJest(readResults(resultsPath), code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readResults(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A file that could not be run counts as one failed test; so does a jest that ended badly without saying of what. */
export function countJest(results, exitCode) {
  const failed = (results?.numFailedTests ?? 0) + (results?.numRuntimeErrorTestSuites ?? 0);
  return {
    passed: results?.numPassedTests ?? 0,
    failed: failed === 0 && (exitCode !== 0 || results === undefined) ? 1 : failed,
    skipped: (results?.numPendingTests ?? 0) + (results?.numTodoTests ?? 0),
  };
}

/** The one line that scripts read. */
export function summaryLine(counts) {
  const sum = (name) => counts.reduce((total, one) => total + one[name], 0);
  return `${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`;
}

async function main([mode, ...more]) {
  const plan = plans[mode];
  if (!plan) {
    console.error(`Usage: node tools/test.mjs ${Object.keys(plans).join('|')} [arguments for jest]`);
    return 2;
  }
  const checking = runChecks(plan.checks);
  const counts = [];
  for (const phase of plan.jest) counts.push(await runJest(phase, more));
  counts.push(countChecks(await checking));
  console.log(summaryLine(counts));
  return counts.some(({ failed }) => failed > 0) ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main(process.argv.slice(2)).then((code) => (process.exitCode = code));
