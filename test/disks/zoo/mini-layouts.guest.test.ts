/** Layouts that are read after inoculation and not started: several disks, kernels, compressions; and disks that are refused. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editorAsARun } from '../editor-as-a-run';
import { guestFiles } from '../../../disks/guest-files';
import { startGuestfish } from '../../../disks/guestfish';
import { resolverFor } from '../../../disks/linux/device-names';
import { findLinux } from '../../../disks/linux/find-system';
import { compare, mountAll } from '../../../disks/linux/findings';
import { listVolumes, type LabelledVolume } from '../../../disks/linux/volumes';
import { hardwareProfiles } from '../../../model/server';
import { zoo, type Zoo } from './build.mjs';
import * as make from './layouts';

jest.setTimeout(900_000);

const uuid = (n: number) => `5c000000-0000-4000-8000-00000000000${n}`;
const older = '6.0.0-1-amd64';
const cloud = '5.9.0-1-cloud-amd64';
let folder: string;
let built: Zoo;

beforeAll(async () => {
  built = await zoo();
  folder = mkdtempSync(join(tmpdir(), 'muster-layouts-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);
const digest = (path: string) => execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
const oldDisk = '/dev/disk/by-id/ata-VBOX_HARDDISK_1';

describe('four disks: data, the system, an empty one, data without partitions', () => {
  const offset = 3;
  let initramfs: Record<string, Buffer>;
  let before: string[];

  beforeAll(() => {
    const tree = make.miniSystem(folder, join(built.folder, built.miniTar));
    const modules = ['drivers/scsi', 'drivers/net/vmxnet3', 'block', 'lib', 'crypto', 'arch/x86/crypto'];
    const xz = make.smallInitramfs(folder, older, ['xz', '-c', '--check=crc32'], {
      'conf/modules': 'ext4\n',
      'conf/conf.d/resume': 'RESUME=/dev/sdb3\n',
    });
    make.addKernel(tree, older, built.kernelRelease, modules, xz);
    const lz4 = make.smallInitramfs(folder, cloud, ['lz4', '-lc'], {});
    make.addKernel(tree, cloud, built.kernelRelease, ['drivers/net/vmxnet3'], lz4);
    make.fill(tree, {
      'etc/fstab':
        '/dev/sdb2 / ext4 errors=remount-ro 0 1\n/dev/sdb3 none swap sw 0 0\n/dev/sda1 /srv ext4 nofail 0 2\n',
      'etc/default/grub': `GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX="resume=/dev/sdb3"\n`,
      'boot/grub/device.map': `(hd0)\t${oldDisk}\n(hd1)\t/dev/disk/by-id/dm-uuid-LVM-x\n`,
      'boot/grub/grub.cfg': [built.kernelRelease, older, cloud]
        .map(
          (release) =>
            `menuentry '${release}' {\n\tlinux /boot/vmlinuz-${release} root=/dev/sdb2 ro resume=/dev/sdb3\n}\n`,
        )
        .join(''),
    });
    initramfs = Object.fromEntries(
      [built.kernelRelease, older, cloud].map((release) => [
        release,
        readFileSync(join(tree, 'boot', `initrd.img-${release}`)),
      ]),
    );
    const data = make.fill(at('data-tree'), { 'report.txt': 'figures\n' });
    make.partitioned(at('d0'), 40, 'label: dos\nsize=32M\n');
    make.putAt(make.bareExt4(at('data'), 32, data, uuid(3)), at('d0'), 1);
    make.partitioned(
      at('d1'),
      280,
      'label: gpt\nsize=2M,type=21686148-6449-6E6F-744E-656564454649\nsize=250M\nsize=16M\n',
    );
    make.putAt(make.bareExt4(at('root'), 250, tree, uuid(1)), at('d1'), offset);
    make.quietly('truncate', ['-s', '16M', at('swap')]);
    make.quietly('mkswap', ['-U', uuid(2), at('swap')]);
    make.putAt(at('swap'), at('d1'), offset + 250);
    make.quietly('truncate', ['-s', '24M', at('d2')]);
    make.bareExt4(at('d3'), 24, data, uuid(4));
    before = ['d0', 'd2', 'd3'].map((name) => digest(at(name)));
  });

  const inoculate = () =>
    editorAsARun({ scratchFolder: at('scratch') }).inoculate(
      [0, 1, 2, 3].map((index) => make.asDisk(at(`d${index}`), index)),
      hardwareProfiles['vmware-pvscsi']!,
    );

  test('every kernel that can be made fit is, and the one that cannot is named', async () => {
    const report = await inoculate();
    expect(report.inoculator).toBe('initramfs-tools');
    expect(report.kernels.map(({ release, how }) => [release, how])).toEqual([
      [built.kernelRelease, 'archive-appended'],
      [older, 'archive-appended'],
    ]);
    expect(report.warnings).toContainEqual(
      expect.stringContaining(`kernel ${cloud} left as it is: it has no module vmw_pvscsi`),
    );
  });

  test('the drivers are found by other tools behind each old archive, in its own compression', () => {
    const added = (release: string, unpack: readonly [string, ...string[]]) => {
      const now = make.readExt4(at('d1'), `/boot/initrd.img-${release}`, offset, folder);
      const old = initramfs[release]!;
      expect(now.subarray(0, old.length).equals(old)).toBe(true);
      const [program, ...args] = unpack;
      return make.unpackArchive(make.quietly(program, args, now.subarray(old.length)), folder);
    };
    const newest = added(built.kernelRelease, ['zstd', '-dc']);
    const second = added(older, ['xz', '-dc']);
    for (const [release, unpacked] of [
      [built.kernelRelease, newest],
      [older, second],
    ] as const) {
      expect(existsSync(join(unpacked, 'usr/lib/modules', release, 'kernel/drivers/scsi/vmw_pvscsi.ko'))).toBe(true);
      expect(readFileSync(join(unpacked, 'conf/modules'), 'utf8')).toContain('vmw_pvscsi\n');
    }
    expect(readFileSync(join(second, 'conf/conf.d/resume'), 'utf8')).toBe(`RESUME=UUID=${uuid(2)}\n`);
    expect(make.readExt4(at('d1'), `/boot/initrd.img-${cloud}`, offset, folder).equals(initramfs[cloud]!)).toBe(true);
  });

  test('names of devices that will be gone are replaced in every file', () => {
    const text = (path: string) => make.readExt4(at('d1'), path, offset, folder).toString();
    expect(text('/etc/fstab')).toBe(
      `UUID=${uuid(1)} / ext4 errors=remount-ro 0 1\nUUID=${uuid(2)} none swap sw 0 0\nUUID=${uuid(3)} /srv ext4 nofail 0 2\n`,
    );
    expect(text('/etc/default/grub')).toContain(`resume=UUID=${uuid(2)}`);
    expect(text('/boot/grub/grub.cfg')).toContain(`root=UUID=${uuid(1)} ro resume=UUID=${uuid(2)}`);
    expect(text('/boot/grub/grub.cfg')).not.toContain('/dev/sd');
    expect(text('/boot/grub/device.map')).toBe(`# (hd0)\t${oldDisk}\n(hd1)\t/dev/disk/by-id/dm-uuid-LVM-x\n`);
    expect(text('/etc/initramfs-tools/modules')).toMatch(/^vmw_pvscsi$/m);
  });

  test('a second inoculation changes no byte, and the other disks were never written', async () => {
    const system = digest(at('d1'));
    const report = await inoculate();
    expect(report.kernels.map(({ how }) => how)).toEqual(['already-fit', 'already-fit']);
    expect(report.changes).toEqual([]);
    expect(digest(at('d1'))).toBe(system);
    expect(['d0', 'd2', 'd3'].map((name) => digest(at(name)))).toEqual(before);
  });
});

describe('disks that cannot be inoculated are refused with what was found and what to do', () => {
  const key = Buffer.from([1, 0, 10, 255, 3, 4]);
  let session: ReturnType<typeof startGuestfish>;
  let volumes: LabelledVolume[];
  const names: string[] = [];

  const disk = (name: string, files: Record<string, string>): number => {
    make.bareExt4(at(name), 16, make.fill(at(`${name}-tree`), files), undefined);
    return names.push(at(name)) - 1;
  };
  const system = (id: string, fstab = '/dev/sda1 / ext4 defaults 0 1\n') => ({
    'etc/fstab': fstab,
    'etc/os-release': `ID=${id}\nPRETTY_NAME="${id} \u001b[31m1"\n`,
  });
  let index: Record<'one' | 'other' | 'data' | 'torn' | 'marked' | 'alpine' | 'parted' | 'locked', number>;

  beforeAll(async () => {
    index = {
      one: disk('one', system('debian')),
      other: disk('other', system('ubuntu')),
      data: disk('data-only', { 'a.txt': 'a' }),
      torn: disk('torn', system('debian')),
      marked: disk('marked', system('debian')),
      alpine: disk('alpine', system('alpine')),
      parted: disk('parted', system('debian', `UUID=${uuid(9)} /boot ext4 defaults 0 2\n`)),
      locked: names.push(at('locked')) - 1,
    };
    make.quietly('dd', ['if=/dev/urandom', `of=${at('torn')}`, 'bs=4096', 'seek=1', 'count=300', 'conv=notrunc']);
    make.quietly('debugfs', ['-w', '-R', 'set_super_value state 2', at('marked')]);
    make.quietly('truncate', ['-s', '32M', at('locked')]);
    writeFileSync(at('key'), key, { mode: 0o600 });
    const quick = ['--type', 'luks2', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000', '--uuid', uuid(8)];
    make.quietly('cryptsetup', ['luksFormat', '-q', ...quick, at('locked'), at('key')]);
    mkdirSync(at('appliance'));
    session = startGuestfish({ temporaryFolder: at('appliance') });
    for (const name of names) await session.ask('add-drive', [name, 'format:raw', 'readonly:true']);
    await session.ask('run', [], 300_000);
    volumes = await listVolumes(session);
  });
  afterAll(() => session.kill());

  const on = (...disks: number[]) => volumes.filter((volume) => disks.includes(volume.disk));
  const search = (...disks: number[]) => findLinux(session, guestFiles(session, at('files')), on(...disks));
  const refused = async (result: Promise<unknown>, ...words: RegExp[]) => {
    const error = await result.then(
      () => new Error('it was not refused'),
      (caught: Error) => caught,
    );
    expect(error.name).toBe('OperatorError');
    for (const word of words) expect(error.message).toMatch(word);
    expect((error as { facts?: object }).facts).toMatchObject({
      found: expect.any(String) as string,
      remedy: expect.any(String) as string,
    });
    await session.attempt('umount-all');
  };

  test('no system', async () => {
    await refused(search(index.data), /no Linux system was found/, /disk2: ext4/, /choose an earlier recovery point/);
  });

  test('two systems, each with its place and no control characters', async () => {
    await refused(
      search(index.one, index.other),
      /more than one/,
      /disk0: debian \?\[31m1; disk1: ubuntu/,
      /skip this step/,
    );
  });

  test('a filesystem that cannot be mounted, and one that its kernel marked as damaged', async () => {
    await refused(search(index.torn), /ext4 filesystem on disk3 is damaged: found EXT4-fs/, /e2fsck-f/);
    await refused(search(index.marked), /ext4 filesystem on disk4 is damaged/, /errors/, /earlier recovery point/);
  });

  test('a system whose /boot is on none of the disks', async () => {
    await refused(
      search(index.parted),
      /\/boot of the system cannot be found/,
      new RegExp(`needed UUID=${uuid(9)}`),
      /all disks of the server/,
    );
  });

  test('a system that builds its initramfs with something else', async () => {
    const found = await search(index.alpine);
    await mountAll(session, found, 'mount-ro');
    const files = guestFiles(session, at('files'));
    const result = compare(files, found, resolverFor(volumes, names.length), hardwareProfiles['kvm-virtio']!, {});
    await refused(
      result,
      /alpine .* builds its initramfs with a tool that is not known/,
      /neither update-initramfs nor dracut/,
    );
  });

  test('an encrypted volume without a key, with wrong keys; and a key of any bytes opens it', async () => {
    const locked = index.locked;
    await refused(search(locked), /disk7 is encrypted \(LUKS\)/, /no key was given/, new RegExp(uuid(8)), /unlockKeys/);
    const wrong = [Buffer.from('wrong'), Buffer.from([0, 1])];
    volumes = await listVolumes(session, wrong);
    await refused(search(locked), /disk7 is encrypted/, /none of the 2 keys fits/);
    volumes = await listVolumes(session, [...wrong, key]);
    expect(volumes.find(({ inside }) => inside !== undefined)).toMatchObject({
      inside: { uuid: uuid(8), place: 'disk7' },
    });
    expect(volumes.filter((volume) => volume.locked !== undefined)).toEqual([]);
  });

  test('no key is left on the host', () => {
    const files = execFileSync('find', [at('appliance'), '-type', 'f', '-size', '-64k', '-name', 'key-*'], {
      encoding: 'utf8',
    });
    expect(files).toBe('');
  });
});
