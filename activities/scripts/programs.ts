/**
 * Programs that runbooks may have run on a worker's host: files of one folder that an administrator names. Whoever could write
 * there could run anything as the worker, so the folder and its files belong to root or to the worker, and to nobody else.
 */
import { constants, type Stats } from 'node:fs';
import { access, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError } from '../../model/errors';

/** A plain name: no slash, no leading dot. */
const programName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export interface ProgramsView {
  /** Names that scripts may use. */
  readonly programs: readonly string[];
  /** What lies in the folder and is refused, with the reason. */
  readonly refused: readonly { readonly name: string; readonly because: string }[];
}

/**
 * The whole path of an allowed program, links resolved.
 *
 * @throws OperatorError with the remedy: no folder is allowed, no such program, or one that others can change.
 */
export async function allowedProgram(folder: string | undefined, name: string): Promise<string> {
  const root = await allowedFolder(folder);
  if (!programName.test(name)) {
    throw refused(name, `"${name}"`, 'a plain name of letters, digits and ._-', 'Correct the name in the runbook.');
  }
  const problem = await problemOf(root, name);
  if (problem !== null) throw refused(name, problem.found, problem.needed, problem.remedy);
  return realpath(join(root, name));
}

/** What may be run and what may not. @throws OperatorError when the folder itself cannot be used. */
export async function listPrograms(folder: string | undefined): Promise<ProgramsView> {
  const root = await allowedFolder(folder);
  const programs: string[] = [];
  const rejected: { name: string; because: string }[] = [];
  for (const name of (await readdir(root)).sort()) {
    const problem = programName.test(name) ? await problemOf(root, name) : { found: 'a name that is not plain' };
    if (problem === null) programs.push(name);
    else rejected.push({ name, because: problem.found });
  }
  return { programs, refused: rejected };
}

async function allowedFolder(folder: string | undefined): Promise<string> {
  if (folder === undefined) {
    throw new OperatorError({
      what: 'no program may be run on this worker',
      found: 'no folder of programs in its configuration',
      needed: 'scripts.folder (MUSTER_SCRIPTS_FOLDER)',
      remedy:
        'An administrator makes a folder that root alone can write, puts the program there, sets scripts.folder for the workers of this site and restarts them; then retry. Or skip the script.',
    });
  }
  const real = await realpath(folder).catch(() => null);
  const found = real === null ? null : await stat(real);
  if (real === null || found === null || !found.isDirectory()) {
    throw folderRefused(folder, 'no such folder', 'a folder', `Make it: install -d -m 0755 ${folder}, as root.`);
  }
  for (let at = real; ; at = dirname(at)) {
    const one = await stat(at);
    const problem = at !== real && isSticky(one) ? null : rightsProblem(one);
    if (problem !== null) throw folderRefused(folder, `${at} ${problem}`, ownedNeeded, mend(at));
    if (at === dirname(at)) return real;
  }
}

/** In such a folder nobody can exchange what is somebody else's (/tmp). */
const isSticky = ({ mode }: Stats): boolean => (mode & 0o1000) !== 0;

interface Problem {
  readonly found: string;
  readonly needed: string;
  readonly remedy: string;
}

/** Null: it may be run. */
async function problemOf(root: string, name: string): Promise<Problem | null> {
  const path = join(root, name);
  const there = await lstat(path).catch(() => null);
  const real = there === null ? null : await realpath(path).catch(() => null);
  if (real === null) {
    return {
      found: there === null ? `no ${path}` : `${path}, a link into nowhere`,
      needed: 'a program of that name',
      remedy: `Put the program to ${path} on every worker of the site (install -m 0755), then retry.`,
    };
  }
  if (dirname(real) !== root) {
    const remedy = `Put the program itself into ${root} instead of a link.`;
    return { found: `${path} leads to ${real}`, needed: `a file within ${root}`, remedy };
  }
  const file = await stat(real);
  if (!file.isFile()) return { found: `${path} is no file`, needed: 'a regular file', remedy: `Replace ${path}.` };
  const rights = rightsProblem(file);
  if (rights !== null) return { found: `${path} ${rights}`, needed: ownedNeeded, remedy: mend(real) };
  const runs = await access(real, constants.X_OK).then(
    () => true,
    () => false,
  );
  return runs ? null : { found: `${path} cannot be run`, needed: 'mode 0755', remedy: `chmod 0755 ${real}` };
}

const ownedNeeded = 'root or the worker as owner, and nobody else who can write';
const mend = (path: string): string =>
  `chown root ${path} && chmod go-w ${path}; then look whether what is in it is still what was meant.`;

function rightsProblem({ uid, mode }: Stats): string | null {
  if (uid !== 0 && uid !== process.getuid?.()) return `belongs to the user with id ${uid}`;
  return (mode & 0o022) === 0 ? null : `can be written by others (mode ${(mode & 0o7777).toString(8)})`;
}

const refused = (name: string, found: string, needed: string, remedy: string) =>
  new OperatorError({ what: `the program ${name} may not be run on this worker`, found, needed, remedy });

const folderRefused = (folder: string, found: string, needed: string, remedy: string) =>
  new OperatorError({ what: `the folder of programs ${folder} cannot be used`, found, needed, remedy });
