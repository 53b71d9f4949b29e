/** The data folder: what is where in it, and whether this version may use it. */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StackError } from './exit-codes';

/** Raised when a newer Muster writes something here that an older one would misread. */
export const folderFormat = 1;

export interface DataFolder {
  readonly root: string;
  readonly lockFile: string;
  /** Process ids of what `up` started, for the next one to find after a kill -9. */
  readonly partsFile: string;
  readonly tokenFile: string;
  readonly postgresPasswordFile: string;
  readonly postgresUrlFile: string;
  readonly postgres: string;
  readonly postgresPrograms: string;
  readonly temporalDatabase: string;
  readonly workflowBundles: string;
  readonly workerStatusFile: string;
  readonly logs: string;
  /** The default of MUSTER_SECRETS_FOLDER. */
  readonly secrets: string;
}

export function dataFolderAt(root: string): DataFolder {
  const at = (...parts: string[]): string => join(root, ...parts);
  return {
    root,
    lockFile: at('lock'),
    partsFile: at('parts.json'),
    tokenFile: at('admin-token'),
    postgresPasswordFile: at('postgres-password'),
    postgresUrlFile: at('postgres-url'),
    postgres: at('postgres'),
    postgresPrograms: at('postgres-programs'),
    temporalDatabase: at('temporal', 'temporal.db'),
    workflowBundles: at('workflow-bundles'),
    workerStatusFile: at('worker.json'),
    logs: at('logs'),
    secrets: at('secrets'),
  };
}

/**
 * Creates the folder or checks its format. Others may pass through it (Postgres and QEMU run as users of their own) but
 * not list it; what is secret in it is 0600.
 *
 * @throws StackError `newer-folder`, or `folder-not-usable` when it cannot be created or written.
 */
export async function openDataFolder(root: string): Promise<DataFolder> {
  const folder = dataFolderAt(root);
  try {
    await mkdir(root, { recursive: true });
    await chmod(root, 0o711);
    for (const sub of [folder.logs, folder.secrets, join(root, 'temporal')])
      await mkdir(sub, { recursive: true, mode: 0o700 });
    await checkFormat(join(root, 'format'));
  } catch (error) {
    if (error instanceof StackError) throw error;
    const facts = { what: `the data folder ${root} cannot be used`, found: (error as Error).message };
    const remedy = 'Run Muster as the owner of the folder, or set MUSTER_DATA_FOLDER to another one.';
    throw new StackError('folder-not-usable', { ...facts, remedy }, { cause: error });
  }
  return folder;
}

async function checkFormat(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return writePrivately(file, `${folderFormat}\n`);
  const found = Number(text.trim());
  if (found === folderFormat) return;
  throw new StackError(Number.isInteger(found) && found > folderFormat ? 'newer-folder' : 'folder-not-usable', {
    what: `the data folder cannot be used by this version of Muster`,
    found: `format ${text.trim()} in ${file}`,
    needed: `format ${folderFormat}`,
    remedy: 'Start the version of Muster that wrote it, or a later one, or set MUSTER_DATA_FOLDER to another folder.',
  });
}

/** Writes a file of mode 0600 as a whole or not at all. */
export async function writePrivately(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
}
