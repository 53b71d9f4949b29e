/**
 * Everything of ours that reads what a guest wrote, on what a guest could write: it ends soon, and never in another way
 * than with an answer or an error of the three families. That it ends soon is seen by how its work grows with the text.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { diagnose } from '../../activities/diagnosis';
import { createCpioReader, writeCpio, cpioModes } from '../../disks/linux/cpio';
import { fstabEntries, mountsOf } from '../../disks/linux/mounts';
import { rewriteCrypttab, rewriteFstab } from '../../disks/linux/fstab';
import { rewriteDeviceMap, rewriteGrubConfig, rewriteGrubDefaults, rewriteResume } from '../../disks/linux/grub';
import { defaultRelease } from '../../disks/linux/grub-menu';
import { readInitramfs } from '../../disks/linux/initramfs';
import { closureOf, parseModuleIndex, parseSoftDependencies } from '../../disks/linux/modules';
import { namesAtRisk, rewriteDriverMatch } from '../../disks/linux/nic-names';
import { printable as printableWord } from '../../disks/guestfish-words';
import { partitionTableProblem } from '../../disks/partition-table';
import { hiveProblem } from '../../disks/windows/hive-header';
import { isDirty, volumeRecordPlace } from '../../disks/windows/ntfs-record';
import { isMusterError } from '../../model/errors';
import { printable, printableLines } from '../../model/names';
import { hardwareProfiles } from '../../model/server';
import { answerIn, processId, resultOf } from '../../platforms/libvirt/agent';
import { parseDomain } from '../../platforms/libvirt/domain-parse';
import { printable as printableConsole } from '../../platforms/libvirt/look';
import { decodePpm } from '../../platforms/png';
import { digestProblem, manifestDocument } from '../../replication/manifest-document';
import { parseDomain as parseSourceDomain } from '../../replication/libvirt-domain';

const resolve = () => ({ kind: 'uuid', uuid: '1-2' }) as const;
const hardware = hardwareProfiles['kvm-virtio']!;
const root = { disk: 0, partition: 1, device: '/dev/sda1', type: 'ext4', uuid: 'u', label: '', partUuid: '' };
const networkFiles = ['a.yaml', 'a.network', 'a.link', 'a.nmconnection', 'a-persistent-net.rules', 'interfaces'];

const ofText: Record<string, (text: string) => unknown> = {
  fstab: (text) => [rewriteFstab(text, resolve), fstabEntries(text), mountsOf(text, root, [root], text)],
  crypttab: (text) => rewriteCrypttab(text, resolve),
  'grub.cfg': (text) => [rewriteGrubConfig(text, resolve), defaultRelease(text, text)],
  grub: (text) => [rewriteGrubDefaults(text, resolve), rewriteResume(text, resolve), rewriteDeviceMap(text)],
  'network names': (text) => [
    namesAtRisk(new Map(networkFiles.map((name) => [name, text]))),
    networkFiles.map((name) => rewriteDriverMatch(name, text, hardware)),
  ],
  'modules.dep': (text) => closureOf(['a', 'ahci'], parseModuleIndex(text, text), parseSoftDependencies(text)),
  'a console': (text) => [diagnose(text), printableConsole(text)],
  'a name': (text) => [printable(text), printableLines(text), printableWord(text)],
  'an agent': (text) => processId('app01', answerIn('app01', text)),
  'a domain': (text) => parseDomain(text, 'running', {}),
  'a domain at the source': (text) => parseSourceDomain(text),
};
const ofBytes: Record<string, (bytes: Buffer) => unknown> = {
  'an archive': (bytes) =>
    createCpioReader(
      () => true,
      () => undefined,
    ).feed(bytes),
  'a picture': decodePpm,
  'a hive': (bytes) => hiveProblem(bytes, bytes.length),
  'a volume': (bytes) => [volumeRecordPlace(bytes), isDirty(bytes)],
  'a partition table': (bytes) => partitionTableProblem(padded(bytes, 1024), padded(bytes, 512), 1e9),
};
const padded = (bytes: Buffer, length: number): Buffer => Buffer.concat([bytes, Buffer.alloc(length)], length);

/** @throws what is no error of Muster's */
function answers(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!isMusterError(error)) throw error;
  }
}

/** Pieces that mean something to one of the readers, so that a draw gets past the first look. */
const pieces = [
  ...[
    '\n',
    ' ',
    '\t',
    '\r',
    '\0',
    '"',
    "'",
    '{',
    '}',
    '=',
    ':',
    ',',
    '>',
    '#',
    '/',
    '<',
    '&',
    '[',
    ']',
    '\u001b',
    '\u202e',
  ],
  ...['/dev/sda1', 'UUID=', 'root=', 'subvol=', 'linux ', 'menuentry', 'submenu', 'set default="', 'Name=', 'driver: '],
  ...['network:', 'ethernets:', 'MACAddress=', 'auto eth0', 'softdep a pre: b', 'a.ko: b.ko', '<domain>', '</domain>'],
  ...[
    '<uuid>',
    '{"return":',
    '{"pid":',
    '[]',
    'Kernel panic - not syncing: ',
    'ALERT! ',
    '\u001b[',
    '\u001b]0;',
    '\ud800',
  ],
];
const text = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 8 })), { maxLength: 60 })
  .map((all) => all.join(''));
const heads = ['', '070701', 'P6 1 1 255 ', 'regf', 'FILE', 'EFI PART'];
const bytes = fc
  .tuple(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 1200 }))
  .map(([head, rest]) => Buffer.concat([Buffer.from(head), rest]));

test.each(Object.entries(ofText))('%s: any text is answered or refused', (_name, read) => {
  fc.assert(
    fc.property(text, (drawn) => answers(() => read(drawn))),
    { numRuns: 300 },
  );
});

test.each(Object.entries(ofBytes))('%s: any bytes are answered or refused', (_name, read) => {
  fc.assert(
    fc.property(bytes, (drawn) => answers(() => read(drawn))),
    { numRuns: 300 },
  );
});

/** As long as Muster reads a guest's text file (disks/guest-files.ts): what takes a square of the length would take hours. */
const longBytes = 1024 * 1024;

function hostileTexts(sizeBytes: number): Record<string, string> {
  const many = (piece: string, before = '', after = ''): string =>
    before + piece.repeat(Math.ceil(sizeBytes / piece.length)) + after;
  return {
    'line ends': many('\n', 'x', 'x'),
    'blanks in a line': many(' ', 'x', 'x'),
    tabs: many('\t', ' ', 'x'),
    'blanks and line ends': many(' \n', '', 'x'),
    'returns without a line end': many('\r', 'x', 'x'),
    escapes: many('\u001b'),
    'titles without an end': many('\u001b]0;'),
    quotes: many('"'),
    'opening braces': many('{'),
    brackets: many('[', '{"return":'),
    'objects in objects': many('{"return":'),
    tags: many('<domain>'),
    entries: many("submenu 'a' {\n", 'set default="a' + '>a'.repeat(sizeBytes / 32) + '"\n'),
    'devices in one line': many('root=/dev/sda1 ', 'linux '),
    'dependencies in a chain': Array.from({ length: sizeBytes / 26 }, (_one, at) => `m${at}.ko: m${at + 1}.ko`)
      .join('\n')
      .replaceAll('m0.ko', 'a.ko'),
    'YAML in YAML': many('{a: ', 'network: '),
    'YAML that names itself': 'network: &n\n  ethernets: *n\n',
  };
}

const smallBytes = 8 * 1024;
const growth = 8;
const small = hostileTexts(smallBytes);
const large = hostileTexts(growth * smallBytes);
const long = hostileTexts(longBytes);

/** Microseconds of the processor for one reading. */
function workOf(read: () => unknown): number {
  const begun = process.cpuUsage();
  answers(read);
  const { user, system } = process.cpuUsage(begun);
  return user + system;
}

const readings = 20;

/**
 * Whether the work on a text that is eight times as long is about eight times as much, and not 64 times: compared within
 * one run, so that no machine is too slow for it. Three times as much is let pass; below half a millisecond is noise. The
 * processor's time counts the whole process, so a collection of garbage or a compilation beside a reading counts, too: what
 * took more is read again once they had a turn. What grows with the square takes too long in every reading.
 */
async function growsWithLength(read: (text: string) => unknown, onSmall: string, onLarge: string): Promise<boolean> {
  let unit = Infinity;
  for (let reading = 0; reading < readings; reading++) {
    unit = Math.min(
      unit,
      workOf(() => read(onSmall)),
    );
    await setImmediate();
  }
  const most = 3 * growth * Math.max(500, unit);
  for (let reading = 0; reading < readings; reading++) {
    if (workOf(() => read(onLarge)) <= most) return true;
    await setImmediate();
  }
  return false;
}

describe.each(Object.entries(long))('%s', (what, hostile) => {
  test.each(Object.entries(ofText))('%s takes work in proportion, and ends', async (_name, read) => {
    expect(await growsWithLength(read, small[what]!, large[what]!)).toBe(true);
    answers(() => read(hostile));
  });
});

test('work that grows with the square of the length would be seen', async () => {
  const [short, longer] = [smallBytes, growth * smallBytes].map((length) => 'x'.repeat(length));
  const once = (text: string) => text.split('').map((letter) => letter.charCodeAt(0));
  // From every fourth letter back to the first: some milliseconds, and 64 times that; compiled beforehand and a letter at a time,
  // where indexOf is so quick that what each call costs would hide how it grows.
  const fromEach = (text: string) => {
    for (let at = 0; at < text.length; at += 4) text.lastIndexOf('y', at);
  };
  expect(await growsWithLength(once, short!, longer!)).toBe(true);
  expect(await growsWithLength(fromEach, short!, longer!)).toBe(false);
});

describe('an agent that answers something else', () => {
  test.each([
    ['no JSON', 'pid'],
    ['nothing', ''],
    ['a number', '{"return":5}'],
    ['a list', '{"return":[1]}'],
    ['null', 'null'],
    ['a text for a process', '{"return":{"pid":"1; rm -rf /"}}'],
    ['no process', '{"return":{}}'],
    ['a negative process', '{"return":{"pid":-1}}'],
  ])('%s: it is tried again, and said what came', (_what, answer) => {
    expect(() => processId('app01', answerIn('app01', answer))).toThrow(
      expect.objectContaining({ family: 'TransientError', message: expect.stringContaining('app01') }),
    );
  });

  test('output of the wrong type is none, too much is cut, and bytes that are no text are replaced', () => {
    const wrong = { exitcode: 'zero', signal: {}, 'out-data': { a: 1 }, 'err-data': 7 };
    expect(resultOf(wrong)).toEqual({ exitCode: 128, stdout: '', stderr: '', truncated: false });
    const much = resultOf({ exitcode: 0, 'out-data': Buffer.alloc(16 * 1024 * 1024, 'x').toString('base64') });
    expect(much).toMatchObject({ truncated: true, exitCode: 0 });
    expect(much.stdout).toHaveLength(64 * 1024);
    expect(resultOf({ 'out-data': Buffer.from([0xff, 0xfe, 0x41]).toString('base64') }).stdout).toBe('\ufffd\ufffdA');
  });
});

test('any manifest is a manifest or is refused with words', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(manifestDocument.safeParse(value).success).toBe(false);
      digestProblem(value);
    }),
  );
});

describe('an initramfs that is made to fill the memory or to take for ever', () => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-bomb-'))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const archive = (name: (at: number) => string, count: number, sizeBytes: number): Buffer =>
    writeCpio(
      Array.from({ length: count }, (_one, at) => ({
        ...{ name: name(at), mode: cpioModes.file, content: Buffer.alloc(sizeBytes) },
      })),
    );
  const refused = async (content: Buffer, found: RegExp, family = 'OperatorError'): Promise<void> => {
    const path = join(folder, 'initrd');
    writeFileSync(path, content);
    const before = process.memoryUsage().rss;
    await expect(readInitramfs(path, () => true)).rejects.toMatchObject({
      family,
      message: expect.stringMatching(found),
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(512 * 1024 * 1024);
  };

  test('content that is kept', () =>
    refused(
      archive((at) => `conf/${at}`, 20, 4 * 1024 * 1024 - 1),
      /keptBytes/,
    ));
  test('names', () =>
    refused(
      archive((at) => `${'n'.repeat(4000)}${at}`, 9_000, 0),
      /nameBytes/,
    ));
  test('archives without an entry', () =>
    refused(Buffer.concat(Array<Buffer>(1_100).fill(archive(() => '', 0, 0))), /archives/));
  test('a size that the header only claims', async () => {
    const one = archive(() => 'a', 1, 4);
    one.write('3fffffff', 54, 'latin1');
    await refused(one, /cut off/, 'PermanentError');
  });
});
