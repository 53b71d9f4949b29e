import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editorAsARun } from './editor-as-a-run';
import type { TakenDisk } from '../../model/replica';
import { hardwareProfiles } from '../../model/server';
import { demoGuest } from '../../tools/demo-guest/build.mjs';
import { exportOverlay } from './storage-daemon';

/** A hang that is neither told nor idle is ended after half an hour. */
jest.setTimeout(45 * 60_000);

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-v2v-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A file of the guest, read with e2fsprogs on a raw copy of the disk. */
function fileOnDisk(disk: string, path: string): string {
  const raw = join(folder, 'independent.raw');
  const out = join(folder, 'independent.file');
  execFileSync('qemu-img', ['convert', '-O', 'raw', disk, raw]);
  rmSync(out, { force: true });
  execFileSync('debugfs', ['-R', `dump ${path} ${out}`, `${raw}?offset=1048576`], { stdio: 'ignore' });
  return out;
}

test('a guest on an export of the target server is converted for virtio, verified and committed', async () => {
  const guest = await demoGuest();
  const overlay = join(folder, 'run.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', guest.imagePath, '-F', 'qcow2', overlay]);
  const daemon = await exportOverlay(overlay, join(folder, 'nbd.sock'), 'run-disk0');
  const disk: TakenDisk = {
    ...{ diskId: 'disk0', index: 0, pointId: 'p1', virtualSizeBytes: guest.sizeBytes, signatures: [] },
    ...{ path: overlay, format: 'qcow2', editUri: daemon.editUri },
  };
  const labels: string[] = [];
  try {
    const report = await editorAsARun({ scratchFolder: join(folder, 'scratch') }).inoculate(
      [disk],
      hardwareProfiles['kvm-virtio']!,
      { inoculator: 'virt-v2v-in-place', onProgress: ({ label }) => labels.push(label) },
    );
    expect(report).toMatchObject({
      inoculator: 'virt-v2v-in-place',
      operatingSystem: expect.stringContaining('Debian GNU/Linux 12') as string,
      kernels: [{ release: guest.kernelRelease, how: 'regenerated' }],
      verified: [`kernel ${guest.kernelRelease}: its initramfs holds virtio_pci, virtio_blk`],
    });
  } finally {
    await daemon.stop();
  }
  expect(labels.some((label) => label.startsWith('virt-v2v: Converting'))).toBe(true);
  const path = `/boot/initrd.img-${guest.kernelRelease}`;
  const names = (disk: string) =>
    execFileSync('lsinitramfs', [fileOnDisk(disk, path)], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  expect(names(guest.imagePath)).not.toContain('/virtio_blk.ko');
  expect(names(overlay)).toContain('/virtio_blk.ko');
  expect(readFileSync(fileOnDisk(overlay, '/etc/fstab'), 'utf8')).toContain('UUID=');
});
