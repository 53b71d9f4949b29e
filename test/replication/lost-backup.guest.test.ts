/** libvirtd ended at the moment in which a copy begins: it loses the job, for good, and says so in its own words. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLibvirtSource } from '../../replication/libvirt-source';
import { startBlankMachine } from '../system/support/blank-machine';
import { openPrivateLibvirtd, type PrivateLibvirtd } from '../system/support/private-libvirtd';
import { eventually, newSystemFolder } from '../system/support/system';
import { newMachineName } from './support/demo-machine';
import { exitCodeOf } from './support/tools';

const name = newMachineName();
const folder = newSystemFolder();
const status = join(folder, 'l/run/qemu', `${name}.xml`);
const copied = join(folder, 'copies', 'sda.qcow2');
let libvirt: PrivateLibvirtd;
let beginning: ChildProcess | undefined;

beforeAll(async () => {
  libvirt = await openPrivateLibvirtd(join(folder, 'l'));
  await libvirt.start();
  await startBlankMachine(libvirt.virsh, folder, name);
  // QEMU writes there.
  mkdirSync(join(folder, 'copies'));
  chmodSync(join(folder, 'copies'), 0o777);
});
afterAll(async () => {
  beginning?.kill();
  await libvirt?.close();
  rmSync(folder, { recursive: true, force: true });
});

const copy = () =>
  createLibvirtSource({ uri: libvirt.uri, clock: Date.now }).copy({
    ...{ machineName: name, checkpoint: 'first', since: null, freezeFilesystems: false },
    disks: [{ diskId: 'disk0', device: 'sda', file: copied }],
  });

/** QEMU stands still, so that it does not answer what the beginning of a copy asks it. */
async function killedAsACopyBegins(): Promise<void> {
  const machine = Number(readFileSync(status.replace(/xml$/, 'pid'), 'utf8'));
  const backup = join(folder, 'backup.xml');
  const disk = `<disk name='sda' type='file'><target file='${copied}'/><driver type='qcow2'/></disk>`;
  writeFileSync(backup, `<domainbackup mode='push'><disks>${disk}</disks></domainbackup>`);
  process.kill(machine, 'SIGSTOP');
  try {
    beginning = spawn('virsh', ['-c', libvirt.uri, 'backup-begin', name, backup], { stdio: 'ignore' });
    const begins = () => readFileSync(status, 'utf8').includes("async='backup'") || undefined;
    await eventually('the copy begins', 60_000, begins, 20);
    await libvirt.kill();
  } finally {
    process.kill(machine, 'SIGCONT');
  }
  await libvirt.start();
}

test('the next copy names it with what mends it, and that mends it', async () => {
  await killedAsACopyBegins();
  const error: unknown = await copy().catch((refused: unknown) => refused);
  expect(error).toMatchObject({ family: 'OperatorError', message: expect.stringContaining('backup job data missing') });
  const { remedy } = (error as { facts: { remedy: string } }).facts;
  expect(remedy).toContain(`take async='backup' out of /run/libvirt/qemu/${name}.xml`);
  await libvirt.kill();
  writeFileSync(status, readFileSync(status, 'utf8').replace(" async='backup'", ''));
  await libvirt.start();
  expect(await copy()).toMatchObject({ consistency: 'crash' });
  expect(await exitCodeOf('qemu-img', 'check', copied)).toBe(0);
});

test('so does a restart of libvirtd while the machine is off', async () => {
  await libvirt.virsh('checkpoint-delete', name, 'first');
  await killedAsACopyBegins();
  await expect(copy()).rejects.toMatchObject({ family: 'OperatorError' });
  await libvirt.virsh('destroy', name);
  await libvirt.kill();
  await libvirt.start();
  await libvirt.virsh('start', name);
  expect(await copy()).toMatchObject({ consistency: 'crash' });
});
