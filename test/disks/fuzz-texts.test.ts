/**
 * What a guest's files say, bent: true ones with bytes lost, doubled, moved and put in. Each reader of ours answers or
 * refuses with an error of the three families, and its work grows with the text and not with its square. Seeded, so that a
 * run is like the one before; test/security/guest-text.slow.test.ts does the same with texts that never were true.
 */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { resolverFor } from '../../disks/linux/device-names';
import { rewriteCrypttab, rewriteFstab } from '../../disks/linux/fstab';
import { rewriteArguments, rewriteGrubConfig, rewriteGrubDefaults } from '../../disks/linux/grub';
import { defaultRelease } from '../../disks/linux/grub-menu';
import { closureOf, parseModuleIndex, parseSoftDependencies } from '../../disks/linux/modules';
import { mountsOf } from '../../disks/linux/mounts';
import { namesAtRisk } from '../../disks/linux/nic-names';
import { readOsRelease } from '../../disks/linux/os-release';
import { partitionTableProblem } from '../../disks/partition-table';
import { readInf } from '../../disks/windows/inf';
import type { WindowsVersion } from '../../disks/windows/version';
import { isMusterError } from '../../model/errors';
import { infText } from './windows/windows-disk';

const seed = 20_240_611;
const volume = { partition: 1, label: '', partUuid: '' };
const root = { ...volume, disk: 0, device: '/dev/sda1', type: 'ext4', uuid: 'u-root' };
const data = { ...volume, disk: 1, device: '/dev/sdb1', type: 'crypto_LUKS', uuid: 'u-luks' };
const opened = { ...data, disk: -1, device: '/dev/mapper/muster-0', inside: { uuid: 'u-luks', place: 'disk1' } };
const volumes = [root, data, opened];
const resolve = resolverFor(volumes, 2);
const windows: WindowsVersion = {
  ...{ productName: 'Windows Server 2022', major: 10, minor: 0, build: 20_348, kind: 'server', architecture: 'amd64' },
};
const fstab = [
  '# /etc/fstab\n/dev/sda1\t/ ext4 errors=remount-ro 0 1\nUUID=u-root /boot ext4 defaults 0 2',
  '/dev/mapper/data /var xfs subvol=/@var,nofail 0 2\n/dev/disk/by-id/ata-A-part1 none swap sw 0 0\n',
].join('\n');
const crypttab = 'data UUID=u-luks none luks,discard\nswap /dev/sdb2 /dev/urandom swap,nofail\n';

interface Reader {
  readonly sample: Buffer;
  readonly read: (bytes: Buffer) => unknown;
}
const ofText = (sample: string, read: (text: string) => unknown): Reader => ({
  sample: Buffer.from(sample),
  read: (bytes) => read(bytes.toString('utf8')),
});

const readers: Record<string, Reader> = {
  'os-release': ofText(
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian"\nID=debian\nID_LIKE="a b"\n',
    readOsRelease,
  ),
  fstab: ofText(fstab, (text) => [rewriteFstab(text, resolve), mountsOf(text, root, volumes, crypttab)]),
  crypttab: ofText(crypttab, (text) => [rewriteCrypttab(text, resolve), mountsOf(fstab, root, volumes, text)]),
  '.inf': {
    sample: Buffer.from(
      infText({ service: 'viostor', program: 'viostor.sys', ids: [String.raw`PCI\VEN_1AF4&DEV_1001`] }),
    ),
    read: (bytes) => readInf(bytes, windows),
  },
  'grub.cfg': ofText(
    [
      "set default=\"${saved_entry}\"\nmenuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple' {",
      '\tlinux /boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda1 ro resume=/dev/sda2\n}\n',
      "submenu 'More' {\nmenuentry 'Old' {\n  linux /vmlinuz-5.10.0 root=/dev/sdb1\n}\n}\n",
    ].join('\n'),
    (text) => [rewriteGrubConfig(text, resolve), defaultRelease(text, 'saved_entry=More>Old\nnext_entry=\n')],
  ),
  'a loader entry': ofText(
    'title Fedora\nversion 6.5\nlinux /vmlinuz-6.5\ninitrd /i.img\noptions root=/dev/sda1 rd.luks.uuid=x quiet\n',
    (text) => [rewriteArguments(text, resolve), rewriteGrubDefaults(`GRUB_CMDLINE_LINUX="${text}"`, resolve)],
  ),
  'modules.dep': ofText(
    'kernel/drivers/ata/ahci.ko.xz: kernel/drivers/ata/libahci.ko.xz kernel/lib/b-c.ko\nkernel/lib/b-c.ko:\nsoftdep ahci pre: x\n',
    (text) => closureOf(['ahci', 'b_c'], parseModuleIndex(text, text), parseSoftDependencies(text)),
  ),
  'a netplan file': ofText(
    'network:\n  version: 2\n  ethernets:\n    enp1s0: {match: {macaddress: "52:54:00:12:34:56"}, set-name: enp1s0}\n',
    (text) => namesAtRisk(new Map([['/etc/netplan/a.yaml', text]])),
  ),
  'a partition table': { sample: partitionTable(), read: readTable },
};

/** A GPT with its protective MBR, its header, and the header's copy from the last sector of a disk of 64 MiB. */
function partitionTable(): Buffer {
  const header = Buffer.alloc(512);
  header.write('EFI PART', 'latin1');
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(131_071n, 32);
  header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
  const mbr = Buffer.alloc(512);
  mbr[446 + 4] = 0xee;
  mbr.writeUInt32LE(131_071, 446 + 12);
  mbr.writeUInt16LE(0xaa55, 510);
  return Buffer.concat([mbr, header, header]);
}

function readTable(bytes: Buffer): string | null {
  const sectors = Buffer.concat([bytes, Buffer.alloc(1536)], 1536);
  return partitionTableProblem(sectors.subarray(0, 1024), sectors.subarray(1024), 64 * 1024 * 1024);
}

const words = [
  '\n',
  '\0',
  ' ',
  '\t',
  '"',
  "'",
  '{',
  '}',
  '=',
  ':',
  ',',
  '%',
  '[',
  ']',
  '\\',
  '#',
  '>',
  '\r\n',
  '\u202e',
];
const piece = fc.oneof(
  fc.constantFrom(...words).map((word) => Buffer.from(word)),
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
);
const edit = fc.record({
  kind: fc.constantFrom('lose', 'double', 'put', 'replace', 'cut', 'move'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  to: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat(40),
  piece,
});
type Edit = typeof edit extends fc.Arbitrary<infer One> ? One : never;

function bent(bytes: Buffer, { kind, at, to, length, piece: put }: Edit): Buffer {
  const from = Math.floor(at * bytes.length);
  const [before, span, after] = [
    bytes.subarray(0, from),
    bytes.subarray(from, from + length),
    bytes.subarray(from + length),
  ];
  const rest = Buffer.concat([before, after]);
  const elsewhere = Math.floor(to * rest.length);
  const made: Record<Edit['kind'], Buffer[]> = {
    lose: [rest],
    double: [before, span, span, after],
    put: [before, put, bytes.subarray(from)],
    replace: [before, put, bytes.subarray(from + put.length)],
    cut: [before],
    move: [rest.subarray(0, elsewhere), span, rest.subarray(elsewhere)],
  };
  return Buffer.concat(made[kind]);
}

/** @throws what is no error of Muster's */
function answers(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!isMusterError(error)) throw error;
  }
}

test.each(Object.entries(readers))(
  '%s: the true one is read, and bent ones are answered or refused',
  (_name, reader) => {
    expect(JSON.stringify(reader.read(reader.sample))).toEqual(expect.any(String));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 12 }), (edits) =>
        answers(() => reader.read(edits.reduce(bent, reader.sample))),
      ),
      { seed, numRuns: 300 },
    );
  },
);

test('the true table has no problem, and one with any bit of its header changed has', () => {
  const table = partitionTable();
  expect(readTable(table)).toBeNull();
  for (let bit = 0; bit < 92 * 8; bit += 1) {
    const changed = Buffer.from(table);
    changed[512 + (bit >> 3)]! ^= 1 << (bit & 7);
    expect(readTable(changed)).not.toBeNull();
  }
});

/** Texts of 128 KiB whose parts refer to one another: what does the work of each with each takes a minute. */
const lengthBytes = 128 * 1024;
const many = (line: (at: number) => string): string => {
  const lines: string[] = [];
  for (let at = 0, length = 0; length < lengthBytes; length += lines[at - 1]!.length) lines.push(line(at++));
  return lines.join('');
};
const inf = (text: string) => readInf(Buffer.from(text), windows);
const entangled: Record<string, () => unknown> = {
  'mounts that each look through a long crypttab': () =>
    mountsOf(
      many((at) => `/dev/mapper/n${at} /var\n`),
      root,
      volumes,
      many((at) => `m${at} /dev/sdb1\n`),
    ),
  'an .inf of one line that goes on and on': () => inf(many(() => '[\\\n')),
  'an .inf whose strings are long and often used': () =>
    inf(`[Strings]\na="${many(() => 'x')}"\n[Version]\nProvider=${many(() => '%a%')}\n`),
  'an .inf whose makers all name the same long list': () =>
    inf(`[Manufacturer]\n${many((at) => `m${at}=S,NTamd64\n`)}[S.NTamd64]\n${many((at) => `d${at}=i,PCI\\A\n`)}`),
  'an .inf whose service takes the same settings many times': () =>
    inf(
      infText({ service: 'a', program: 'a.sys', ids: [String.raw`PCI\A`] }).replace(
        /^AddReg.*$/m,
        `AddReg=${many(() => 'more,')}\n`,
      ) + `\n[more]\n${many((at) => `HKR,,n${at},0x00010001,1\n`)}`,
    ),
  'modules that all need one another': () => {
    const names = Array.from({ length: 120 }, (_one, at) => `m${at}.ko`).join(' ');
    const dep = many((at) => `m${at}.ko: ${names}\n`);
    return closureOf(['m0'], parseModuleIndex(dep, ''), parseSoftDependencies(dep));
  },
};

test.each(Object.entries(entangled))('%s: it ends soon', (_name, read) => {
  const begun = process.cpuUsage();
  answers(read);
  const { user, system } = process.cpuUsage(begun);
  // Of the processor, not of the clock, and a hundred times what linear work takes.
  expect((user + system) / 1e6).toBeLessThan(5);
});
