/** libvirt answers, and its guests' user may read the folders where images lie. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheRoot, readableFolder } from '../shared/cache.mjs';
import { findProgram, run } from '../shared/programs.mjs';
import { CannotProvide } from './step.mjs';

const answerMs = 20_000;

export const libvirtService = {
  name: 'libvirt',
  scopes: ['demo', 'all'],
  missing: async (context) => {
    const closed = closedFolder(cacheRoot(context.env));
    return [
      ...((await answers(context)) ? [] : ['no answer from qemu:///system']),
      ...(closed ? [`${closed} is closed to the guests' user`] : []),
    ];
  },
  provide: async (context) => {
    readableFolder(cacheRoot(context.env));
    const closed = closedFolder(cacheRoot(context.env));
    if (closed)
      throw new CannotProvide(
        `Guests run as another user (libvirt-qemu), which may not pass through ${closed} to the images in the cache.`,
        'sudo install -d -o "$USER" /var/cache/muster && export MUSTER_CACHE=/var/cache/muster',
      );
    if (!(await answers(context))) await start(context);
  },
};

async function answers(context) {
  const virsh = findProgram('virsh', context.env);
  if (!virsh) return false;
  return run(virsh, ['-q', '-c', 'qemu:///system', 'uri'], { timeoutMs: answerMs }).then(
    () => true,
    () => false,
  );
}

/** With systemd through systemd; in containers, which have none, as daemons of their own. */
async function start(context) {
  const underSystemd = existsSync('/run/systemd/system');
  const commands = underSystemd ? [['systemctl', 'start', 'virtlogd.socket', 'libvirtd.service']] : daemons(context);
  if (!context.isRoot) {
    const starts = commands.map((command) => `sudo ${command.join(' ')}`);
    throw new CannotProvide(
      "libvirt's system service does not answer you: it is not running, or you are not in the group libvirt.",
      [...starts, 'sudo adduser "$USER" libvirt (then log in again)'].join(' && '),
      { needsRoot: true },
    );
  }
  for (const [program, ...args] of commands) await run(program, args, { logPath: context.logPath() });
  const deadline = Date.now() + answerMs;
  while (!(await answers(context))) {
    if (Date.now() > deadline)
      throw new CannotProvide(
        `libvirtd was started but does not answer after ${answerMs / 1000} s.`,
        'libvirtd --verbose',
      );
    await sleep(300);
  }
}

/** A virtlogd that runs already stays: it holds the consoles of running guests. */
function daemons(context) {
  const missing = ['virtlogd', 'libvirtd'].filter((name) => !findProgram(name, context.env));
  if (missing.length > 0)
    throw new CannotProvide(
      `${missing.join(' and ')} not found.`,
      'sudo apt-get install --no-install-recommends libvirt-daemon-system',
    );
  return ['virtlogd', 'libvirtd'].filter((name) => !isRunning(`/run/${name}.pid`)).map((name) => [name, '-d']);
}

/** A daemon that was killed leaves its pid file behind. */
function isRunning(pidFile) {
  try {
    return existsSync(`/proc/${Number(readFileSync(pidFile, 'utf8'))}`);
  } catch {
    return false;
  }
}

/** The first folder on the way to `folder` that others may not pass through, or undefined. */
export function closedFolder(folder) {
  const parts = path.resolve(folder).split(path.sep);
  const way = parts.map((_, index) => parts.slice(0, index + 1).join(path.sep) || path.sep);
  return way.find((one) => existsSync(one) && (statSync(one).mode & 0o001) === 0);
}
