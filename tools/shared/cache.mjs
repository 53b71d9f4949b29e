/**
 * The cache outside the checkout: things that take minutes to make and do not depend on the checkout's place.
 *
 * `MUSTER_CACHE`, or `/var/cache/muster` for root, or `~/.cache/muster`. Everything in it is readable by all: guests run
 * as another user (libvirt-qemu) and read the demo guest's image.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** The cache's folder; relative values of MUSTER_CACHE are taken from the current folder. */
export function cacheRoot(env = process.env) {
  if (env.MUSTER_CACHE) return path.resolve(env.MUSTER_CACHE);
  return process.getuid?.() === 0 ? '/var/cache/muster' : path.join(homedir(), '.cache', 'muster');
}

/** Makes a folder that everybody can read, whatever the umask says; returns its path. */
export function readableFolder(folder) {
  const first = mkdirSync(folder, { recursive: true });
  for (let made = first ? folder : ''; made.length >= (first?.length ?? 1); made = path.dirname(made))
    chmodSync(made, 0o755);
  return folder;
}

/**
 * Runs `work` while holding an exclusive lock on `lockPath`; `onWait` is called once when somebody else holds it.
 *
 * flock(1) holds the lock and ends when its standard input closes, so a killed builder leaves no lock behind.
 */
export async function withLock(lockPath, onWait, work) {
  const holder = spawn('flock', ['--exclusive', lockPath, 'sh', '-c', 'echo locked; cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const patience = setTimeout(onWait, 500);
  try {
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      holder.once('error', (error) => reject(new Error(`flock (package util-linux) did not start: ${error.message}`)));
      holder.once('exit', (code) => reject(new Error(`flock ${lockPath} ended with exit code ${code}.`)));
    });
    clearTimeout(patience);
    return await work();
  } finally {
    clearTimeout(patience);
    holder.stdin?.end();
  }
}
