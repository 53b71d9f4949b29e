/**
 * Programs from PyPI that the tests are run against: each in a virtual environment of its own in the cache, pinned in
 * tools/python with all that it needs. The folder is named after the pins, so that a change of them builds another one.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, readableFolder, withLock } from '../shared/cache.mjs';
import { findProgram, run } from '../shared/programs.mjs';
import { CannotProvide } from './step.mjs';

/** Program -> its pins in tools/python. */
export const pythonPrograms = { 'sushy-emulator': 'redfish.txt', schemathesis: 'schemathesis.txt' };

const pinsFolder = fileURLToPath(new URL('../python', import.meta.url));

export const pythonProgramsStep = {
  name: 'programs from PyPI',
  scopes: ['all'],
  missing: async ({ env }) => Object.keys(pythonPrograms).filter((name) => !isReady(name, env)),
  provide: async (context, names) => {
    for (const name of names) await provide(name, context);
  },
};

/** Where the program is, or will be. */
export function pythonProgram(name, env = process.env) {
  return path.join(environmentOf(name, env), 'bin', name);
}

function environmentOf(name, env) {
  const pins = readFileSync(path.join(pinsFolder, pythonPrograms[name]));
  const digest = createHash('sha256').update(pins).digest('hex').slice(0, 12);
  return path.join(cacheRoot(env), 'python', `${name}-${digest}`);
}

/** Written last: an environment that a kill left half-made is made anew. */
const readyFile = (folder) => path.join(folder, 'ready');
const isReady = (name, env) => existsSync(readyFile(environmentOf(name, env)));

async function provide(name, context) {
  const folder = environmentOf(name, context.env);
  const python = findProgram('python3', context.env);
  if (!python) throw new CannotProvide(`${name} needs Python 3.`, 'sudo apt-get install -y python3-venv');
  readableFolder(path.dirname(folder));
  const onWait = () => context.say('         another set-up is at it; waiting');
  await withLock(`${folder}.lock`, onWait, async () => {
    if (isReady(name, context.env)) return;
    rmSync(folder, { recursive: true, force: true });
    const options = { logPath: context.logPath(), timeoutMs: 10 * 60_000 };
    await run(python, ['-m', 'venv', folder], options);
    const pins = path.join(pinsFolder, pythonPrograms[name]);
    const quiet = ['--quiet', '--no-input', '--disable-pip-version-check'];
    await run(path.join(folder, 'bin', 'pip'), ['install', ...quiet, '--no-deps', '--requirement', pins], options);
    writeFileSync(readyFile(folder), '');
  });
}
