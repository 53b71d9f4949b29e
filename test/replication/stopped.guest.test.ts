/** The last writes of a machine that is off, on a disk without a system: what libvirt and QEMU do, not what a guest does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLibvirtSource } from '../../replication/libvirt-source';
import { newMachineName, uri, virsh } from './support/demo-machine';
import { exitCodeOf, sh, write } from './support/tools';

jest.setTimeout(120_000);

const name = newMachineName();
const source = createLibvirtSource({ uri, clock: Date.now });
let folder: string;
let disk: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-stopped-'));
  await chmod(folder, 0o755);
  disk = join(folder, 'disk.qcow2');
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', disk, '64M');
  await write(disk, 1, '0', '8M');
  const xml = join(folder, 'machine.xml');
  await writeFile(
    xml,
    `<domain type='qemu'><name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>
    <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='sda' bus='sata'/></disk></devices>
    </domain>`,
  );
  await virsh('define', xml);
  await virsh('start', name);
  await copy('first', null, false);
  await virsh('destroy', name, '--graceful');
});

afterAll(async () => {
  await exitCodeOf('virsh', '-c', uri, 'destroy', name);
  await exitCodeOf('virsh', '-c', uri, 'undefine', name, '--checkpoints-metadata');
  await rm(folder, { recursive: true, force: true });
});

const copy = (checkpoint: string, since: string | null, ofStoppedMachine: boolean, signal?: AbortSignal) => {
  const disks = [{ diskId: 'disk0', device: 'sda', file: join(folder, `${checkpoint}.qcow2`) }];
  const request = { machineName: name, checkpoint, since, disks, freezeFilesystems: false, ofStoppedMachine };
  return source.copy(request, signal === undefined ? {} : { signal });
};

test('a machine that is off is left alone unless its last writes are asked for', async () => {
  await expect(copy('unasked', 'first', false)).rejects.toMatchObject({ family: 'TransientError' });
  expect(await virsh('domstate', name)).toBe('shut off');
});

test('only what changed since the last point is copied, and the machine is off again', async () => {
  await write(disk, 2, '32M', '64k');
  const result = await copy('second', 'first', true);
  expect(await virsh('domstate', name)).toBe('shut off');
  // Its plug had been pulled: nobody can say that its guest had ended its services.
  expect(result.consistency).toBe('crash');
  const map = JSON.parse(await sh('qemu-img', 'map', '--output=json', join(folder, 'second.qcow2'))) as {
    start: number;
    length: number;
    depth: number;
    data: boolean;
  }[];
  const own = map.filter((extent) => extent.depth === 0 && extent.data);
  expect(own.map(({ start, length }) => [start, length])).toEqual([[32 * 1024 * 1024, 64 * 1024]]);
});

test('a machine whose disk is in use elsewhere is a failure that says so', async () => {
  const other = spawn('qemu-io', ['-f', 'qcow2', disk], { stdio: ['pipe', 'pipe', 'ignore'] });
  try {
    other.stdin.write('read 0 512\n');
    await once(other.stdout, 'data');
    await expect(copy('in-use', 'second', true)).rejects.toMatchObject({
      family: 'TransientError',
      facts: { found: expect.stringContaining('lock') as string },
    });
    expect(await virsh('domstate', name)).toBe('shut off');
  } finally {
    other.stdin.end();
    await once(other, 'close');
  }
});

test('a copy that is aborted, and a worker that is killed, leave no machine that somebody could resume', async () => {
  await expect(copy('aborted', 'second', true, AbortSignal.timeout(300))).rejects.toThrow();
  expect(await virsh('domstate', name)).toBe('shut off');

  const script = join(__dirname, 'support', 'hold-still.ts');
  const worker = spawn(process.execPath, ['--import', 'tsx', script, uri, await virsh('domuuid', name)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(worker.stdout, 'data');
  expect(await virsh('domstate', name)).toBe('paused');
  worker.kill('SIGKILL');
  for (let waited = 0; waited < 20_000 && (await virsh('domstate', name)) !== 'shut off'; waited += 100)
    await sleep(100);
  expect(await virsh('domstate', name)).toBe('shut off');
});
