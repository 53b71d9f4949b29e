/**
 * The Temporal CLI, whose `server start-dev` is Muster's default Temporal. In this order: an address or a program given by
 * configuration, `temporal` on PATH, the cache, the official release archive, a build with Go from tools/temporal.
 */
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, readableFolder, withLock } from '../shared/cache.mjs';
import { findProgram, isExecutable, run } from '../shared/programs.mjs';
import { downloadVerified } from './download.mjs';
import { goProgram } from './go.mjs';
import { CannotProvide } from './step.mjs';

/** stack/temporal-binary.ts names the same version; test/tools/temporal-version.test.ts holds the two together. */
export const temporalVersion = '1.8.2';

const moduleFolder = fileURLToPath(new URL('../temporal', import.meta.url));

/** SHA-256 of the release archives, as published in the release's checksums.txt. */
const releases = {
  x64: { arch: 'amd64', sha256: 'd8421bda989e6514b4bdb4d63a9012a8a05a806892e881a5aad8510496349a94' },
  arm64: { arch: 'arm64', sha256: '83600a8fac6e3da54093e5da6918d399f501532b9f1172235603f9606f4ac6e4' },
};

export const temporalCli = {
  name: 'Temporal CLI',
  scopes: ['quick', 'demo', 'all'],
  missing: async ({ env }) => (temporalPlace(env) ? [] : [`version ${temporalVersion}`]),
  provide: async (context) => {
    const target = cachedTemporal(context.env);
    const folder = readableFolder(path.dirname(target));
    const onWait = () => context.say('         another set-up is at it; waiting');
    await withLock(path.join(folder, 'install.lock'), onWait, async () => {
      if (!existsSync(target)) await installTemporal(context, folder, target);
    });
  },
};

/** Where Temporal comes from here, in words, or undefined. @throws CannotProvide when the configured program is not there. */
export function temporalPlace(env) {
  if (env.MUSTER_TEMPORAL_ADDRESS) return `the server at ${env.MUSTER_TEMPORAL_ADDRESS}`;
  if (env.MUSTER_TEMPORAL_BIN) {
    if (isExecutable(env.MUSTER_TEMPORAL_BIN)) return env.MUSTER_TEMPORAL_BIN;
    throw new CannotProvide(
      `MUSTER_TEMPORAL_BIN names ${env.MUSTER_TEMPORAL_BIN}, which is not a program that can be run.`,
      'unset MUSTER_TEMPORAL_BIN',
    );
  }
  const cached = cachedTemporal(env);
  return findProgram('temporal', env) ?? (isExecutable(cached) ? cached : undefined);
}

export function cachedTemporal(env) {
  return path.join(cacheRoot(env), 'temporal', temporalVersion, 'temporal');
}

async function installTemporal(context, folder, target) {
  const workFolder = mkdtempSync(path.join(folder, 'installing-'));
  try {
    const fromRelease = await releaseBinary(context, workFolder);
    const binary = fromRelease ?? (await goBinary(context, workFolder));
    chmodSync(binary, 0o755);
    renameSync(binary, target);
  } finally {
    rmSync(workFolder, { recursive: true, force: true });
  }
}

/** The binary out of the official archive; undefined when it cannot be had here. */
async function releaseBinary(context, workFolder) {
  const release = releases[process.arch];
  if (!release) return undefined;
  const archive = path.join(workFolder, 'temporal.tar.gz');
  const name = `temporal_cli_${temporalVersion}_linux_${release.arch}.tar.gz`;
  const url = `https://github.com/temporalio/cli/releases/download/v${temporalVersion}/${name}`;
  try {
    await downloadVerified({ url, sha256: release.sha256, target: archive });
  } catch (error) {
    context.say(`         the release archive could not be had: ${error.message}`);
    return undefined;
  }
  await run('tar', ['-xzf', archive, '-C', workFolder, 'temporal'], { logPath: context.logPath() });
  return path.join(workFolder, 'temporal');
}

/** Built from the pinned module: five minutes on two cores, Web UI included, no C compiler. */
async function goBinary(context, workFolder) {
  const go = await goProgram(context);
  context.say('         building it with Go instead; about 5 minutes');
  const binary = path.join(workFolder, 'temporal');
  const stamp = `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${temporalVersion}`;
  const args = ['build', '-trimpath', '-buildvcs=false', '-ldflags', stamp, '-o', binary];
  await run(go, [...args, 'github.com/temporalio/cli/cmd/temporal'], {
    cwd: moduleFolder,
    env: { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
    logPath: context.logPath(),
    timeoutMs: 45 * 60_000,
  });
  return binary;
}
