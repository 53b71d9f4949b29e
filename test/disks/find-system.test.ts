import { refuseHibernated } from '../../disks/linux/find-system';
import { mountsOf } from '../../disks/linux/mounts';
import type { LabelledVolume } from '../../disks/linux/volumes';

const volume = (device: string, more: Partial<LabelledVolume> = {}): LabelledVolume => ({
  ...{ device, disk: 0, partition: 1, type: 'ext4', uuid: '', label: '', partUuid: '' },
  ...more,
});
const root = volume('/dev/sda2', { partition: 2, uuid: 'ROOT' });
const volumes = [
  volume('/dev/sda1', { uuid: 'aaaa-1111' }),
  root,
  volume('/dev/sdb1', { disk: 1, label: 'usr' }),
  volume('/dev/my-vg/var', { disk: -1, partition: null, uuid: 'v' }),
];

const mounts = (fstab: string, crypttab?: string) => [...mountsOf(fstab, root, volumes, crypttab).points];

test('the parts of a system are found by UUID, label, device-mapper name and device name, outer ones first', () => {
  expect(
    mounts(
      [
        'UUID=AAAA-1111 /boot ext4 defaults 0 2',
        '/dev/mapper/my--vg-var /var ext4 defaults 0 2',
        'LABEL=usr /usr ext4 defaults 0 2',
      ].join('\n'),
    ),
  ).toEqual([
    ['/', '/dev/sda2'],
    ['/var', '/dev/my-vg/var'],
    ['/usr', '/dev/sdb1'],
    ['/boot', '/dev/sda1'],
  ]);
  expect(mounts('/dev/vda1 /boot ext4 defaults 0 2')).toContainEqual(['/boot', '/dev/sda1']);
  expect(mounts('/dev/disk/by-uuid/aaaa-1111 /boot ext4 defaults 0 2')).toContainEqual(['/boot', '/dev/sda1']);
});

test('what is not part of the system, or not there, is not mounted', () => {
  expect(mounts('UUID=v /srv ext4\n# LABEL=usr /usr ext4\nUUID=gone /boot ext4\nLABEL= /usr ext4')).toEqual([
    ['/', '/dev/sda2'],
  ]);
});

test('a hibernated system is refused with the place of its image', () => {
  const image = volume('/dev/sda3', { partition: 3, type: 'swsuspend' });
  expect(() => refuseHibernated([root, image])).toThrow('a hibernation image on disk0, partition 3');
  expect(() => refuseHibernated([root])).not.toThrow();
});
