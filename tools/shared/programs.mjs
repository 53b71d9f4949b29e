/**
 * Running programs in set-up: argument lists, never a shell; output goes to a log file, and a failure shows its end.
 *
 * Set-up runs before the npm packages are there, so programs/run.ts and execa cannot be used here.
 */
import { spawn } from 'node:child_process';
import { accessSync, appendFileSync, closeSync, constants, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** A program that failed; `message` names it, its exit code, the log and the log's last lines. */
export class ProgramFailed extends Error {}

/** PATH with the folders of administration programs, which people's PATH often lacks. */
export function adminPath(env = process.env) {
  return [env.PATH ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => folder !== '').join(':');
}

/** The full path of an executable on PATH, or undefined. */
export function findProgram(name, env = { PATH: adminPath() }) {
  const folders = (env.PATH ?? '').split(':').filter((folder) => folder !== '');
  return folders.map((folder) => path.join(folder, name)).find(isExecutable);
}

/** Whether it is a file that may be run. */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs a program to its end. With `logPath` its output is appended there and '' is returned; without it standard output
 * is returned.
 *
 * @throws ProgramFailed when it cannot be started, exits other than 0, or runs longer than `timeoutMs`.
 */
export function run(file, args, { logPath, env = {}, cwd, timeoutMs = 30 * 60_000, input } = {}) {
  const command = [file, ...args].join(' ');
  if (logPath) appendFileSync(logPath, `\n$ ${command}\n`);
  const log = logPath ? openSync(logPath, 'a') : undefined;
  const child = spawn(file, args, {
    cwd,
    env: { ...process.env, PATH: adminPath(), LC_ALL: 'C.UTF-8', ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', log ?? 'pipe', log ?? 'pipe'],
  });
  if (log !== undefined) closeSync(log);
  if (input !== undefined) child.stdin.end(input);
  const out = [];
  const err = [];
  child.stdout?.on('data', (chunk) => out.push(chunk));
  child.stderr?.on('data', (chunk) => err.push(chunk));
  return new Promise((resolve, reject) => {
    let timedOut = false;
    const deadline = setTimeout(() => {
      timedOut = true;
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 5_000).unref();
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(deadline);
      reject(new ProgramFailed(`Could not start ${command}: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      if (code === 0) return resolve(Buffer.concat(out).toString());
      const how = timedOut ? `did not end within ${timeoutMs / 1000} s` : `ended with ${signal ?? `exit code ${code}`}`;
      const detail = logPath ? lastLines(logPath) : Buffer.concat(err).toString().trim();
      reject(new ProgramFailed(`${command} ${how}. ${detail}`));
    });
  });
}

/** Names the log and quotes its end, which is where tools say what went wrong. */
function lastLines(logPath, count = 15) {
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-count);
  return `The whole log is ${logPath}; it ends:\n${lines.map((line) => `    ${line}`).join('\n')}`;
}
