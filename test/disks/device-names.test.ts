import fc from 'fast-check';
import { perishableDevice, resolverFor, type GuestVolume } from '../../disks/linux/device-names';
import { rewriteCrypttab, rewriteFstab } from '../../disks/linux/fstab';
import { rewriteGrubConfig, rewriteGrubDefaults, rewriteResume } from '../../disks/linux/grub';

const volume = (device: string, type: string, uuid: string, disk = 0): GuestVolume => ({
  ...{ disk, device, type, uuid },
  partition: Number(/\d+$/.exec(device)?.[0] ?? 0) || null,
});
const volumes = [
  volume('/dev/sda1', 'ext4', 'root-uuid'),
  volume('/dev/sda2', 'swap', 'swap-uuid'),
  volume('/dev/sdb1', 'xfs', 'data-uuid', 1),
  volume('/dev/sdb2', 'crypto_LUKS', 'luks-uuid', 1),
];
const resolve = resolverFor(volumes, 2);

test.each([
  ['/dev/sda1', { disk: 0, partition: 1 }],
  ['/dev/hdb', { disk: 1, partition: null }],
  ['/dev/vdaa12', { disk: 26, partition: 12 }],
  ['/dev/nvme1n1p3', { disk: 1, partition: 3 }],
  ['/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part2', { disk: null, partition: 2 }],
  ['/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001-part1', { disk: null, partition: 1 }],
  ['/dev/disk/by-uuid/1234', null],
  ['/dev/disk/by-id/dm-uuid-LVM-abc', null],
  ['/dev/mapper/vg-root', null],
  ['/dev/vg/root', null],
  ['UUID=1234', null],
  ['/dev/sr0', null],
])('%s depends on the hardware as it should', (name, place) => {
  expect(perishableDevice(name)).toEqual(place);
});

test('fstab keeps its comments, spaces and every line whose name survives', () => {
  const text = [
    '# /dev/sda1 was here',
    '/dev/sda1\t/   ext4 errors=remount-ro 0 1',
    'UUID=x /home ext4 defaults 0 2',
    '  /dev/sda2  none  swap  sw 0 0',
    '/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0',
    '',
  ].join('\n');
  const result = rewriteFstab(text, resolve);
  expect(result.text).toBe(
    text.replace('/dev/sda1\t', 'UUID=root-uuid\t').replace('  /dev/sda2  ', '  UUID=swap-uuid  '),
  );
  expect(result.changes).toEqual(['/dev/sda1 -> UUID=root-uuid', '/dev/sda2 -> UUID=swap-uuid']);
  expect(result.unknown).toEqual([]);
});

test('an fstab entry whose device is not there is fatal unless it may fail', () => {
  const entry = (options: string) => rewriteFstab(`/dev/sdc1 /srv ext4 ${options} 0 2`, resolve).unknown[0];
  expect(entry('defaults')).toMatchObject({ name: '/dev/sdc1', fatal: true });
  expect(entry('defaults,nofail')).toMatchObject({ fatal: false });
});

test('a device whose filesystem is not what fstab says is not taken for it', () => {
  expect(rewriteFstab('/dev/sda1 / xfs defaults 0 1', resolve).unknown).toMatchObject([
    { name: '/dev/sda1', fatal: true },
  ]);
});

test('a by-path name is resolved when one volume of its kind exists', () => {
  const result = rewriteFstab('/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part2 none swap sw 0 0', resolve);
  expect(result.text).toBe('UUID=swap-uuid none swap sw 0 0');
});

test('rewriting fstab a second time changes nothing, whatever is in it', () => {
  const field = fc.constantFrom(
    '/dev/sda1',
    '/dev/sda2',
    '/dev/sdb1',
    'UUID=1',
    '/dev/sdz9',
    '#',
    '$&',
    '\\040',
    'ext4',
    'swap',
  );
  const line = fc.array(field, { maxLength: 6 }).map((fields) => fields.join(' '));
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const once = rewriteFstab(lines.join('\n'), resolve);
      const twice = rewriteFstab(once.text, resolve);
      expect(twice.text).toBe(once.text);
      expect(twice.changes).toEqual([]);
    }),
  );
});

test('crypttab changes the device and not a target of the same name', () => {
  const result = rewriteCrypttab('/dev/sdb2 /dev/sdb2 none luks\n', resolve);
  expect(result.text).toBe('/dev/sdb2 UUID=luks-uuid none luks\n');
});

test('grub.cfg changes root= and resume= on kernel lines only', () => {
  const text = [
    "  set root='hd0,msdos1'",
    '  echo root=/dev/sda1',
    '\tlinux /boot/vmlinuz-6.1 root=/dev/sda1 ro quiet resume=/dev/sda2 other.root=/dev/sda1',
    '\tinitrd /boot/initrd.img-6.1',
  ].join('\n');
  expect(rewriteGrubConfig(text, resolve).text).toBe(
    text.replace('6.1 root=/dev/sda1', '6.1 root=UUID=root-uuid').replace('resume=/dev/sda2', 'resume=UUID=swap-uuid'),
  );
});

test('a root= that cannot be resolved is fatal, a resume= is not', () => {
  expect(rewriteGrubConfig('linux /v root=/dev/sdq1 resume=/dev/sdq2', resolve).unknown).toMatchObject([
    { name: '/dev/sdq1', fatal: true },
    { name: '/dev/sdq2', fatal: false },
  ]);
});

test('default/grub loses the switch that would bring device names back', () => {
  const result = rewriteGrubDefaults(
    'GRUB_DISABLE_LINUX_UUID=true\nGRUB_CMDLINE_LINUX="root=/dev/sda1 quiet"\n',
    resolve,
  );
  expect(result.text).toBe('#GRUB_DISABLE_LINUX_UUID=true\nGRUB_CMDLINE_LINUX="root=UUID=root-uuid quiet"\n');
});

test('RESUME of initramfs-tools is rewritten', () => {
  expect(rewriteResume('RESUME=/dev/sda2\n', resolve).text).toBe('RESUME=UUID=swap-uuid\n');
  expect(rewriteResume('RESUME=UUID=x\n', resolve).changes).toEqual([]);
});
