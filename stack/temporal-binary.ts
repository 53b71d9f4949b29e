/** Where the `temporal` program is. */
import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { StackError } from './exit-codes';

/** The version that set-up builds or downloads, and that the settings in temporal-server.ts were tried with. */
export const temporalVersion = '1.8.2';

/** Downloads and builds live outside the checkout, so that a second clone does not fetch them again (tools/shared/cache.mjs). */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['MUSTER_CACHE']) return resolve(env['MUSTER_CACHE']);
  return process.getuid?.() === 0 ? '/var/cache/muster' : join(homedir(), '.cache', 'muster');
}

export function cachedTemporal(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), 'temporal', temporalVersion, 'temporal');
}

/**
 * Path of the program: MUSTER_TEMPORAL_BIN, else `temporal` on PATH, else the cache that set-up fills.
 *
 * @throws StackError `program-missing` when there is none, or MUSTER_TEMPORAL_BIN names something that cannot be run.
 */
export async function findTemporal(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const chosen = env['MUSTER_TEMPORAL_BIN'];
  if (chosen) {
    if (await executable(chosen)) return chosen;
    throw missing(`MUSTER_TEMPORAL_BIN=${chosen}, which cannot be run`);
  }
  const onPath = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'temporal'));
  for (const candidate of [...onPath, cachedTemporal(env)]) if (await executable(candidate)) return candidate;
  throw missing(`none on PATH and none at ${cachedTemporal(env)}`);
}

function missing(found: string): StackError {
  return new StackError('program-missing', {
    what: 'the program `temporal` is missing',
    found,
    needed: `version ${temporalVersion}`,
    remedy: 'Run `npm run setup`, or set MUSTER_TEMPORAL_BIN, or point MUSTER_TEMPORAL_ADDRESS at a running server.',
  });
}

async function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
