/** A target server in small: qemu-storage-daemon that holds an overlay and exports it for editing. */
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StorageDaemon {
  readonly editUri: string;
  /** Lets the overlay go. */
  stop(): Promise<void>;
}

/** Exports the qcow2 file over NBD on a UNIX socket, writable. */
export async function exportOverlay(overlay: string, socket: string, name: string): Promise<StorageDaemon> {
  const child = spawn('setpriv', [
    ...['--pdeathsig', 'KILL', '--', 'qemu-storage-daemon'],
    ...['--blockdev', `driver=file,node-name=f0,filename=${overlay}`],
    ...['--blockdev', 'driver=qcow2,node-name=d0,file=f0'],
    ...['--nbd-server', `addr.type=unix,addr.path=${socket},max-connections=8`],
    ...['--export', `type=nbd,id=e0,node-name=d0,name=${name},writable=on`],
  ]);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  for (let tries = 0; tries < 200; tries += 1) {
    if (child.exitCode !== null) throw new Error(`qemu-storage-daemon ended: ${said}`);
    if (await exists(socket)) break;
    await sleep(50);
  }
  return {
    editUri: `nbd+unix:///${name}?socket=${socket}`,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
