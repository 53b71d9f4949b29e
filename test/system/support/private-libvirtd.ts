/**
 * A libvirt daemon of a test's own, so that it can be killed without hurting anybody: in a mount namespace with state
 * folders of its own, listening on a socket in the given folder. Its machines are invisible to the system's daemon.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodeOf, sh } from '../../replication/support/tools';
import { eventually } from './system';

export interface PrivateLibvirtd {
  readonly uri: string;
  virsh(...args: string[]): Promise<string>;
  /** SIGKILL; machines go on running. */
  kill(): Promise<void>;
  /** Starts it (again) and waits until it answers. */
  start(): Promise<void>;
  /** Ends machines, daemon and namespace. */
  close(): Promise<void>;
}

const folders = { etc: '/etc/libvirt', run: '/run/libvirt', lib: '/var/lib/libvirt', cache: '/var/cache/libvirt' };

/** `folder`: short, because the path of the socket may have 107 bytes. */
export async function openPrivateLibvirtd(folder: string): Promise<PrivateLibvirtd> {
  for (const name of Object.keys(folders)) mkdirSync(join(folder, name), { recursive: true, mode: 0o755 });
  const configuration = join(folder, 'libvirtd.conf');
  const pidFile = join(folder, 'libvirtd.pid');
  writeFileSync(
    configuration,
    `unix_sock_dir = "${join(folder, 'run')}"\nauth_unix_rw = "none"\nlog_outputs = "3:file:${folder}/log"\n`,
  );
  // virtlogd would be one more daemon.
  writeFileSync(join(folder, 'etc/qemu.conf'), 'stdio_handler = "file"\n');
  const namespace = holdNamespace(folder);
  const socket = join(folder, 'run/libvirt-sock');
  const uri = `qemu:///system?socket=${socket}`;
  const virsh = (...args: string[]) => sh('virsh', '-c', uri, '--quiet', ...args);
  let daemon: ChildProcess | undefined;
  await eventually('the namespace is there', 10_000, () => existsSync(join(folder, 'ready')) || undefined, 50);

  async function start(): Promise<void> {
    daemon = spawn(...among(namespace, ['libvirtd', '--config', configuration, '--pid-file', pidFile]), {
      stdio: 'ignore',
    });
    await eventually(
      'the private libvirtd answers',
      60_000,
      // A daemon that hangs answers nothing, and virsh waits for it without end.
      async () => (await exitCodeOf('timeout', '10', 'virsh', '-c', uri, 'version')) === 0 || undefined,
    );
  }

  async function kill(): Promise<void> {
    const running = daemon;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((done) => running.once('exit', done));
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    await ended;
  }

  return {
    uri,
    virsh,
    kill,
    start,
    async close() {
      for (const name of (await virsh('list', '--name').catch(() => '')).split('\n').filter((one) => one !== '')) {
        await exitCodeOf('virsh', '-c', uri, 'destroy', name);
      }
      await kill();
      namespace.kill('SIGKILL');
    },
  };
}

/** A process that keeps the namespace, with the daemon's folders over the system's. */
function holdNamespace(folder: string): ChildProcess {
  const mounts = Object.entries(folders).map(([name, over]) => `mount --bind '${join(folder, name)}' ${over}`);
  const script = [...mounts, `touch '${join(folder, 'ready')}'`, 'exec sleep infinity'].join(' && ');
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', 'sh', '-c', script], {
    stdio: 'ignore',
  });
}

/** nsenter keeps its process id for the program, so a signal reaches the daemon. */
function among(namespace: ChildProcess, command: readonly string[]): [string, string[]] {
  const enter = ['nsenter', '--target', String(namespace.pid), '--mount', '--', ...command];
  return ['setpriv', ['--pdeathsig', 'KILL', '--', ...enter]];
}
