/**
 * Bad input in a replica's folder. Each row: what is damaged, which points are still usable, which words stand in what
 * is shown, and that looking, refusing and the next cycle change none of the points' files.
 */
import { appendFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sh } from '../replication/support/tools';
import { openSmallReplica, pointId, server, type SmallReplica } from './support/small-replica';

// Generous: the machine may be busy with other suites.
jest.setTimeout(120_000);

interface Row {
  readonly name: string;
  readonly damage: (replica: SmallReplica) => Promise<unknown>;
  /** Numbers of the points that can still be recovered. */
  readonly usable: readonly number[];
  /** Words in what is shown of the replica. */
  readonly words: readonly string[];
}

/** A manifest as bytes that anybody may have edited. */
type Document = Record<string, unknown> & {
  digest?: string;
  disks: {
    diskId: string;
    file: string;
    virtualSizeBytes: number;
    signatures: { pieces: { offsetBytes: number }[] }[];
  }[];
};

const manifestText = (replica: SmallReplica, sequence: number) => readFile(replica.manifestFile(sequence), 'utf8');
const edited = async (replica: SmallReplica, sequence: number, edit: (manifest: Document) => unknown) => {
  const manifest = JSON.parse(await manifestText(replica, sequence)) as Document;
  delete manifest.digest;
  edit(manifest);
  await writeFile(replica.manifestFile(sequence), JSON.stringify(manifest));
};
const rebased = (replica: SmallReplica, sequence: number, diskId: string, name: string) =>
  sh('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-b', name, '-F', 'raw', replica.layer(sequence, diskId));
const inPlaceOf = async (path: string, put: (path: string) => Promise<unknown>) => {
  await rm(path);
  await put(path);
};

const manifestRows: Row[] = [
  {
    name: 'a manifest that was deleted',
    damage: (r) => rm(r.manifestFile(2)),
    usable: [1],
    words: ['point 3 (point-3)', 'its parent point-2 is not a complete point'],
  },
  {
    name: 'a manifest of a newer format',
    damage: (r) => edited(r, 3, (m) => (m['format'] = 2)),
    usable: [1, 2],
    words: ['00000003-point-3.json', 'format 2, written by a newer Muster', 'needed format 1'],
  },
  {
    name: 'valid JSON of another shape',
    damage: (r) => writeFile(r.manifestFile(3), '[{"hello": "world"}]'),
    usable: [1, 2],
    words: ['00000003-point-3.json is damaged'],
  },
  {
    name: 'a manifest whose disk has no size',
    damage: (r) => edited(r, 3, (m) => (m.disks[1]!.virtualSizeBytes = 0)),
    usable: [1, 2],
    words: ['disks.1.virtualSizeBytes'],
  },
  {
    name: 'a manifest whose disk has 2^63 bytes',
    damage: async (r) => {
      const text = (await manifestText(r, 3)).replaceAll('1048576', '9223372036854775808');
      await writeFile(r.manifestFile(3), text);
    },
    usable: [1, 2],
    words: ['00000003-point-3.json is damaged'],
  },
  {
    name: 'a manifest that names a file outside the replica',
    damage: (r) => edited(r, 3, (m) => (m.disks[0]!.file = '../../../etc/passwd')),
    usable: [1, 2],
    words: ['disks.0.file', 'needs a file in layers/'],
  },
  {
    name: 'a point id that leads out of the folder',
    damage: (r) => edited(r, 3, (m) => (m['pointId'] = '../../x')),
    usable: [1, 2],
    words: ['pointId'],
  },
  {
    name: 'two disks of one id',
    damage: (r) => edited(r, 3, (m) => (m.disks[1]!.diskId = 'disk0')),
    usable: [1, 2],
    words: ['two disks have one id'],
  },
  {
    name: 'a signature beyond the end of its disk',
    damage: (r) => edited(r, 3, (m) => (m.disks[0]!.signatures[0]!.pieces[0]!.offsetBytes = 1024 * 1024 - 1)),
    usable: [1, 2],
    words: ['a signature lies beyond the end of the disk'],
  },
  {
    name: 'a manifest of another server',
    damage: (r) => edited(r, 3, (m) => (m['serverId'] = 'server-2')),
    usable: [1, 2],
    words: ['belongs to server server-2'],
  },
  {
    name: 'ten megabytes of nested JSON',
    damage: (r) => writeFile(r.manifestFile(3), '['.repeat(5_000_000) + ']'.repeat(5_000_000)),
    usable: [1, 2],
    words: ['00000003-point-3.json', '10000000 bytes', 'needed at most'],
  },
  {
    name: 'six hundred thousand brackets within the limit',
    damage: (r) => writeFile(r.manifestFile(3), '['.repeat(300_000) + ']'.repeat(300_000)),
    usable: [1, 2],
    words: ['00000003-point-3.json is damaged'],
  },
  {
    name: 'a symbolic link in a manifest’s place',
    damage: async (r) => {
      await rename(r.manifestFile(3), join(r.place.folder, 'elsewhere.json'));
      await symlink(join(r.place.folder, 'elsewhere.json'), r.manifestFile(3));
    },
    usable: [1, 2],
    words: ['00000003-point-3.json', 'a symbolic link', 'needed a regular file'],
  },
  {
    name: 'a pipe in a manifest’s place',
    damage: (r) => inPlaceOf(r.manifestFile(3), (path) => sh('mkfifo', path)),
    usable: [1, 2],
    words: ['00000003-point-3.json', 'a pipe', 'needed a regular file'],
  },
  {
    name: 'a folder in a manifest’s place',
    damage: (r) => inPlaceOf(r.manifestFile(3), (path) => mkdir(path)),
    usable: [1, 2],
    words: ['00000003-point-3.json', 'a folder', 'needed a regular file'],
  },
  {
    name: 'a file whose name would drive a terminal',
    damage: (r) => writeFile(join(r.place.points, `00000009-\u001b[2J\u202egnp.json`), '{'),
    usable: [1, 2, 3],
    words: ['is damaged'],
  },
  {
    name: 'two manifests with one number',
    damage: async (r) => {
      const copy = { ...JSON.parse(await manifestText(r, 3)), pointId: 'point-x' };
      delete copy.digest;
      await writeFile(join(r.place.points, '00000003-point-x.json'), JSON.stringify(copy));
    },
    usable: [1, 2],
    words: ['point 3 (point-3): point 3 (point-x) claims the same number 3'],
  },
  {
    name: 'two points that name one layer',
    damage: (r) => edited(r, 3, (m) => (m.disks[0]!.file = 'layers/00000002-disk0.qcow2')),
    usable: [1],
    words: ['claims the same layer layers/00000002-disk0.qcow2'],
  },
  {
    name: 'a point that is its own parent',
    damage: (r) => edited(r, 3, (m) => (m['parentPointId'] = 'point-3')),
    usable: [1, 2],
    words: ['its parent point-3 comes after it'],
  },
  {
    name: 'two points that are each other’s parents',
    damage: async (r) => edited(r, 2, (m) => (m['parentPointId'] = 'point-3')),
    usable: [1],
    words: ['point 2 (point-2): its parent point-3 comes after it (number 3)', 'its parent point-2 is not a complete'],
  },
  {
    name: 'a damaged record of a merge',
    damage: (r) => writeFile(r.place.merge, '{"format":1,'),
    usable: [1, 2, 3],
    words: ['merge.json', 'damaged JSON'],
  },
];

const layerRows: Row[] = [
  {
    name: 'a layer that is missing in the middle of the chain',
    damage: (r) => rm(r.layer(2, 'disk1')),
    usable: [1],
    words: ['layers/00000002-disk1.qcow2 is missing', 'point 3 (point-3)'],
  },
  {
    name: 'a layer of zero length',
    damage: (r) => writeFile(r.layer(3, 'disk0'), ''),
    usable: [1, 2],
    words: ['layers/00000003-disk0.qcow2 (disk0) is no layer', '0 bytes, cut short', 'needed a whole qcow2 image'],
  },
  {
    name: 'a layer that was cut short by one byte',
    damage: async (r) => {
      const path = r.layer(3, 'disk0');
      await writeFile(path, (await readFile(path)).subarray(0, -1));
    },
    usable: [1, 2],
    words: ['layers/00000003-disk0.qcow2 (disk0) has another length than its manifest says', 'bytes, needed'],
  },
  {
    name: 'a layer that has grown',
    damage: (r) => appendFile(r.layer(3, 'disk0'), 'x'),
    usable: [1, 2],
    words: ['layers/00000003-disk0.qcow2 (disk0) has another length'],
  },
  {
    name: 'a layer that holds something else',
    damage: (r) => writeFile(r.layer(3, 'disk0'), Buffer.alloc(4096, 7)),
    usable: [1, 2],
    words: ['layers/00000003-disk0.qcow2 (disk0) is no layer', 'another format'],
  },
  {
    name: 'increments of two disks swapped',
    damage: async (r) => {
      await rename(r.layer(3, 'disk0'), `${r.layer(3, 'disk0')}.swap`);
      await rename(r.layer(3, 'disk1'), r.layer(3, 'disk0'));
      await rename(`${r.layer(3, 'disk0')}.swap`, r.layer(3, 'disk1'));
    },
    usable: [1, 2],
    words: ['"00000002-disk1.qcow2" beneath it, needed "00000002-disk0.qcow2"'],
  },
  {
    name: 'a layer that is a link to another file',
    damage: async (r) => {
      await rename(r.layer(3, 'disk0'), join(r.place.folder, 'elsewhere.qcow2'));
      await symlink(join(r.place.folder, 'elsewhere.qcow2'), r.layer(3, 'disk0'));
    },
    usable: [1, 2],
    words: ['a symbolic link', 'needed a regular file'],
  },
  {
    name: 'a layer that is a pipe',
    damage: (r) => inPlaceOf(r.layer(3, 'disk0'), (path) => sh('mkfifo', path)),
    usable: [1, 2],
    words: ['a pipe', 'needed a regular file'],
  },
  ...['/etc/passwd', 'json:{"driver":"host_device","filename":"/dev/null"}', '../../x', `a\u001b[2J`].map(
    (name): Row => ({
      name: `a header that names ${JSON.stringify(name)} beneath the layer`,
      damage: (r) => rebased(r, 2, 'disk0', name),
      usable: [1],
      words: ['layers/00000002-disk0.qcow2 (disk0) names "', 'needed "00000001-disk0.qcow2"; it is not followed'],
    }),
  ),
  {
    name: 'a base that names something beneath it',
    damage: (r) => rebased(r, 1, 'disk1', '/etc/passwd'),
    usable: [],
    words: ['layers/00000001-disk1.qcow2 (disk1) names "/etc/passwd" beneath it, needed nothing'],
  },
  {
    name: 'a layer that keeps its data in another file',
    damage: async (r) => {
      await rm(r.layer(3, 'disk0'));
      await sh(
        'qemu-img',
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        `data_file=${r.place.folder}/d`,
        r.layer(3, 'disk0'),
        '1M',
      );
    },
    usable: [1, 2],
    words: ['layers/00000003-disk0.qcow2 (disk0)', 'keeps its data in another file'],
  },
];

describe.each([...manifestRows, ...layerRows])('$name', ({ damage, usable, words }) => {
  let replica: SmallReplica;
  beforeEach(async () => {
    replica = await openSmallReplica();
    expect(replica.manifests.map((point) => point.sequence)).toEqual([1, 2, 3]);
  });
  afterEach(() => replica.close());

  test('costs what stands on it and nothing else, is said, and nothing is changed by looking at it or by refusing it', async () => {
    await damage(replica);
    const before = await replica.digests();
    const points = await replica.replicas.points(server.id);
    expect(points.map((point) => point.sequence)).toEqual(usable);
    const view = await replica.replicas.view(server.id);
    for (const word of words) expect(view!.lastError).toContain(word);
    for (const character of ['\u001b', '\u202e']) expect(view!.lastError).not.toContain(character);
    expect(view!.points.map((point) => point.pointId)).toEqual(usable.map(pointId));
    expect((await replica.replicas.views()).map(({ serverId }) => serverId)).toEqual([server.id]);
    for (const lost of [1, 2, 3].filter((sequence) => !usable.includes(sequence))) {
      const taking = replica.replicas.take(server, pointId(lost), 'backup-and-recover', 'run-a');
      await expect(taking).rejects.toMatchObject({
        family: 'OperatorError',
        facts: { what: expect.stringContaining(pointId(lost)), needed: 'a complete point', remedy: expect.any(String) },
      });
    }
    expect(await replica.digests()).toEqual(before);
  });
});
