/** The two documents of `virsh backup-begin` (libvirt docs, formatbackup and formatcheckpoint). Pure. */
import { create } from 'xmlbuilder2';
import type { CopyRequest } from './contract';

/** Push mode: QEMU itself writes each disk, or what changed since the checkpoint, into a new qcow2. */
export function backupXml(request: CopyRequest, otherDevices: readonly string[]): string {
  const root = create().ele('domainbackup', { mode: 'push' });
  if (request.since !== null) root.ele('incremental').txt(request.since);
  const disks = root.ele('disks');
  for (const { device, file } of request.disks) {
    const disk = disks.ele('disk', { name: device, backup: 'yes', type: 'file' });
    disk.ele('target', { file });
    disk.ele('driver', { type: 'qcow2' });
  }
  for (const device of otherDevices) disks.ele('disk', { name: device, backup: 'no' });
  return root.end({ headless: true, prettyPrint: true });
}

export function checkpointXml(request: CopyRequest, otherDevices: readonly string[]): string {
  const root = create().ele('domaincheckpoint');
  root.ele('name').txt(request.checkpoint);
  const disks = root.ele('disks');
  for (const { device } of request.disks) disks.ele('disk', { name: device, checkpoint: 'bitmap' });
  for (const device of otherDevices) disks.ele('disk', { name: device, checkpoint: 'no' });
  return root.end({ headless: true, prettyPrint: true });
}
