/** The workflows' code as one file, made once for each version of the code: bundling takes a second of two cores. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { bundleWorkflowCode, type Logger } from '@temporalio/worker';

const root = resolve(__dirname, '..');
/** What can end up in the bundle; workflows may import nothing else of ours (eslint.config.mjs). */
const sources = ['workflows', 'model', 'activities/contract.ts'];

/** What stands between the SDK and every workflow. */
export const interceptorModules: readonly string[] = [join(root, 'workflows', 'early-queries.ts')];

/**
 * Path of the bundle in `folder`; made if it is not there. Several processes may do this at once. What the bundler has to
 * say goes to `logger`; default: standard error.
 *
 * @throws what the bundler says when workflow code imports something that a workflow must not
 */
export async function workflowBundle(folder: string, logger?: Logger): Promise<{ codePath: string }> {
  const codePath = join(folder, `workflows-${await fingerprint()}.js`);
  if (existsSync(codePath)) return { codePath };
  const workflowsPath = join(root, 'workflows', 'index.ts');
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    workflowInterceptorModules: [...interceptorModules],
    ...(logger === undefined ? {} : { logger }),
  });
  await mkdir(folder, { recursive: true });
  const draft = `${codePath}.${process.pid}.new`;
  await writeFile(draft, code);
  await rename(draft, codePath);
  return { codePath };
}

/** Of the sources and of the SDK, which must be the same in bundle and worker. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  const sdk = require.resolve('@temporalio/worker/package.json');
  for (const file of [sdk, ...(await Promise.all(sources.map((path) => filesUnder(join(root, path))))).flat()]) {
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

async function filesUnder(path: string): Promise<string[]> {
  if (path.endsWith('.ts')) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
