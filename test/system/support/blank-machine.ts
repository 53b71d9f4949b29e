/** A server that costs nothing to run: a disk with a file system and no operating system, so its BIOS waits for ever. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sh } from '../../replication/support/tools';

const offsetBytes = 1024 * 1024;
const sizeMiB = 64;

/** Defines and starts it; its disk is `<folder>/<name>.qcow2`. */
export async function startBlankMachine(
  virsh: (...args: string[]) => Promise<string>,
  folder: string,
  name: string,
): Promise<{ disk: string }> {
  const raw = join(folder, `${name}.raw`);
  const disk = join(folder, `${name}.qcow2`);
  const files = join(folder, 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'ledger.txt'), 'what must not be lost\n');
  await sh('truncate', '-s', `${sizeMiB}M`, raw);
  await sh('sh', '-c', 'echo "start=2048, type=83" | sfdisk --quiet "$1"', 'sh', raw);
  await sh('mke2fs', '-q', '-t', 'ext4', '-d', files, '-E', `offset=${offsetBytes}`, raw, `${sizeMiB - 1}M`);
  await sh('qemu-img', 'convert', '-O', 'qcow2', raw, disk);
  const xml = join(folder, `${name}.xml`);
  writeFileSync(xml, domainXml(name, disk));
  await virsh('define', xml);
  await virsh('start', name);
  return { disk };
}

const domainXml = (name: string, disk: string) => `<domain type='qemu'>
  <name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/><apic/></features>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='sda' bus='sata'/></disk>
    <interface type='user'><model type='e1000'/></interface>
  </devices>
</domain>
`;
