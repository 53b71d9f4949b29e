/**
 * What it costs to look at a libvirt host with many machines: the programs that are started are counted outside of Muster. The
 * machines are those of libvirt's own test driver (`test:///FILE`), which virsh asks as it asks QEMU's.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { createLibvirtPlatform } from '../../platforms/libvirt/platform';

const path = process.env['PATH'];
const real = execFileSync('sh', ['-c', 'command -v virsh'], { encoding: 'utf8' }).trim();
let folder: string;
const at = (name: string): string => join(folder, name);

/** Every program on the way to libvirt and its disks leaves a line; `meanwhile` runs before virsh reads machines. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-list-'));
  program(
    'virsh',
    `case "$*" in *dumpxml*) [ ! -x '${at('meanwhile')}' ] || '${at('meanwhile')}' ;; esac`,
    `exec ${real} "$@"`,
  );
  program('qemu-img', 'exit 1');
  process.env['PATH'] = `${folder}:${path}`;
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
});

function program(name: string, ...lines: string[]): void {
  writeFileSync(at(name), `#!/bin/sh\necho ${name} >> '${at('started')}'\n${lines.join('\n')}\n`);
  chmodSync(at(name), 0o755);
}

const started = (): string[] => readFileSync(at('started'), 'utf8').trim().split('\n');
const hex = (n: number): string => n.toString(16).padStart(4, '0');
const macOf = (n: number): string => `52:54:00:00:${hex(n).slice(0, 2)}:${hex(n).slice(2)}`;

/** Of a title that could be taken for the end of an answer, and with a disk, as a person's machine has them. */
const machine = (n: number): string => `<domain type='test'><name>machine ${n}</name>
  <uuid>00000000-0000-4000-8000-00000000${hex(n)}</uuid><title>&lt;/domain&gt; running; dumpxml</title>
  <memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices>
  <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/${n}.qcow2'/><target dev='vda' bus='virtio'/></disk>
  <interface type='bridge'><mac address='${macOf(n)}'/><source bridge='lan'/></interface></devices></domain>`;

function openSite(numbers: readonly number[], name = 'machines.xml') {
  writeFileSync(at(name), `<node>${numbers.map(machine).join('')}</node>`);
  return createLibvirtPlatform({
    id: 'many',
    uri: `test://${at('machines.xml')}`,
    consoleFolder: folder,
    networks: {},
  });
}
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

test('hundreds of machines are listed by a few programs, each with its own addresses and power', async () => {
  const machines = await openSite(numbers(200)).list();
  expect(started().length).toBeLessThanOrEqual(6);
  expect(new Set(machines.map(({ name }) => name)).size).toBe(200);
  for (const { name, power, nics, disks } of machines) {
    const n = Number(name.slice('machine '.length));
    expect([power, nics.map(({ macAddress }) => macAddress), disks.map((disk) => disk.path)]).toEqual([
      ...['on', [macOf(n)], [`/srv/${n}.qcow2`]],
    ]);
  }
});

test('a machine that goes while others are read is left out, and the others are whole', async () => {
  const site = openSite(numbers(60));
  openSite(
    [...numbers(60)].filter((n) => n !== 7 && n !== 59),
    'after.xml',
  );
  writeFileSync(at('meanwhile'), `#!/bin/sh\nmv '${at('after.xml')}' '${at('machines.xml')}' 2> /dev/null || true\n`, {
    mode: 0o755,
  });
  const names = (await site.list()).map(({ name }) => name);
  expect(names).toHaveLength(58);
  expect(names).not.toContain('machine 7');
  expect(names).not.toContain('machine 59');
});

test('a host that stops answering while they are read is a failure, not a host with fewer machines', async () => {
  const site = openSite(numbers(40));
  writeFileSync(at('meanwhile'), `#!/bin/sh\nrm -f '${at('machines.xml')}'\n`, { mode: 0o755 });
  await expect(site.list()).rejects.toThrow('machines cannot be read');
});
