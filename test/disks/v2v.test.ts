import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDiskEditor } from '../../disks/editor';
import { inoculateByV2v, machineXml } from '../../disks/v2v';
import type { V2vFindings } from '../../disks/v2v-look';
import type { TakenDisk } from '../../model/replica';
import { hardwareProfiles, type OperatingSystem } from '../../model/server';
import { isRunning } from '../support/processes';

const virtio = hardwareProfiles['kvm-virtio']!;
const fit: V2vFindings = {
  operatingSystem: 'Rocky Linux 9',
  kernels: [{ release: '5.14.0', missing: [] }],
  verified: ['kernel 5.14.0'],
  warnings: [],
};
let folder: string;
let disk: TakenDisk;
const path = process.env['PATH'];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-v2v-'));
  const file = join(folder, 'disk.raw');
  writeFileSync(file, Buffer.alloc(1024 * 1024, 1));
  disk = {
    ...{ diskId: 'disk0', index: 0, pointId: 'p1', virtualSizeBytes: 1024 * 1024, path: file, format: 'raw' },
    ...{ editUri: `file:${file}`, signatures: [] },
  };
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
});

/** A program of that name in front of all others; it finds the overlay where the description says. */
function pretend(script: string): void {
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  const file = join(programs, 'virt-v2v-in-place');
  const overlay = `$(sed -n "s/.*source file='\\([^']*\\)'.*/\\1/p" "$xml")`;
  writeFileSync(file, `#!/bin/sh\nfor xml; do :; done\noverlay=${overlay}\n${script}\n`);
  chmodSync(file, 0o755);
  process.env['PATH'] = `${programs}:${path}`;
}

const convert = (look: V2vFindings = fit, unlockKeys: Uint8Array[] = [], stillForMs?: number) =>
  inoculateByV2v({
    ...(stillForMs === undefined ? {} : { stillForMs }),
    ...{ disks: [disk], hardware: virtio, scratch: join(folder, 'scratch'), emulate: true },
    ...{ stage: () => undefined, options: { unlockKeys }, look: async () => look },
  });
const bytes = () => readFileSync(disk.path);
const writes = 'qemu-io -f qcow2 -c "write -P 7 0 64k" "$overlay" >/dev/null';

test('what virt-v2v changes reaches the disk after it was looked at, with its warnings', async () => {
  pretend(
    `${writes}\necho '[   1.0] Converting Rocky Linux 9'\necho 'virt-v2v-in-place: warning: no \u001b[31mguest tools' >&2`,
  );
  const report = await convert();
  expect(report).toMatchObject({ inoculator: 'virt-v2v-in-place', warnings: ['no ?[31mguest tools'] });
  expect(
    bytes()
      .subarray(0, 65536)
      .every((byte) => byte === 7),
  ).toBe(true);
  expect(
    bytes()
      .subarray(65536)
      .every((byte) => byte === 1),
  ).toBe(true);
});

test('what it could not convert stays as it is, and the message has its words', async () => {
  pretend(`${writes}\necho 'virt-v2v-in-place: error: inspection could not detect the source guest' >&2\nexit 1`);
  await expect(convert()).rejects.toMatchObject({
    name: 'OperatorError',
    facts: { found: 'inspection could not detect the source guest' },
  });
  expect(bytes().every((byte) => byte === 1)).toBe(true);
});

test('a converted system whose newest kernel lacks a driver does not reach the disk', async () => {
  pretend(writes);
  const lacking = { ...fit, kernels: [{ release: '5.14.0', missing: ['virtio_blk'] }] };
  await expect(convert(lacking)).rejects.toMatchObject({
    name: 'PermanentError',
    facts: { found: 'kernel 5.14.0 starts without virtio_blk' },
  });
  expect(bytes().every((byte) => byte === 1)).toBe(true);
});

test('a conversion that hangs is ended with the server of its disks, and another attempt may find them as they were', async () => {
  pretend(
    `echo '[  24.8] Converting Rocky Linux 9'\n${writes}\necho 'last word' >&2\nsleep 600 &\necho $! > ${folder}/left\nwait`,
  );
  await expect(convert(fit, [], 5_000)).rejects.toMatchObject({
    name: 'TransientError',
    facts: {
      found: 'it hangs (no more words; no work, or a kernel that complains), at "Converting Rocky Linux 9"',
      detail: 'last word\n',
    },
  });
  expect(bytes().every((byte) => byte === 1)).toBe(true);
  const left = readFileSync(join(folder, 'left'), 'utf8').trim();
  expect(await isRunning(left)).toBe(false);
});

test.each([
  'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
  'rcu: INFO: rcu_preempt self-detected stall on CPU',
  'watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [update-initramf:531]',
  'INFO: task kworker/u4:1:11 blocked for more than 120 seconds.',
])('an appliance that is busy, and of which only its kernel says "%s", is ended as well', async (complaint) => {
  pretend(`while :; do seq 1000 > /dev/null; echo '[  242.653726] ${complaint}' >&2; done`);
  await expect(convert(fit, [], 1_000)).rejects.toMatchObject({
    name: 'TransientError',
    facts: { found: 'it hangs (no more words; no work, or a kernel that complains), at "starting"' },
  });
});

test('keys go through standard input and stand in no argument', async () => {
  pretend(`printf '%s ' "$@" > ${folder}/args\ncat > ${folder}/stdin`);
  await convert(fit, [Buffer.from('open sesame')]);
  expect(readFileSync(join(folder, 'stdin'), 'utf8')).toBe('open sesame\n');
  expect(readFileSync(join(folder, 'args'), 'utf8')).toMatch(/--keys-from-stdin/);
  expect(readFileSync(join(folder, 'args'), 'utf8')).not.toContain('sesame');
});

test('without virt-v2v the message says what to install', async () => {
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  for (const name of ['qemu-img', 'setpriv', 'prlimit']) {
    execFileSync('ln', ['-s', execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(programs, name)]);
  }
  process.env['PATH'] = programs;
  await expect(convert()).rejects.toMatchObject({
    name: 'OperatorError',
    facts: { remedy: expect.stringContaining('apt-get install virt-v2v') as string },
  });
});

test('a path with quotes stays one path in the machine’s description', () => {
  expect(machineXml(["/a'b<&/d.qcow2"])).toContain("file='/a&apos;b&lt;&amp;/d.qcow2'");
});

test.each([
  [{ distribution: 'rocky' }, 'kvm-virtio', { inoculator: 'virt-v2v-in-place' }],
  [{ distribution: 'sles' }, 'kvm-virtio', { inoculator: 'virt-v2v-in-place' }],
  [{ distribution: 'debian' }, 'kvm-virtio', { inoculator: 'initramfs-tools' }],
  [{ distribution: 'rocky', prettyName: 'Rocky Linux 9' }, 'vmware-pvscsi', /Rocky Linux 9 .*dracut.*kvm-virtio only/],
  [{ distribution: 'alpine' }, 'kvm-virtio', /mkinitfs.*virt-v2v does not know it/],
])('%j on %s: %j', (os, hardwareId, expected) => {
  const choice = createDiskEditor({ scratchFolder: folder }).chooseInoculator(
    { family: 'linux', ...os } as OperatingSystem,
    hardwareProfiles[hardwareId]!,
  );
  if (expected instanceof RegExp) expect(choice).toEqual({ because: expect.stringMatching(expected) as string });
  else expect(choice).toEqual(expected);
});
