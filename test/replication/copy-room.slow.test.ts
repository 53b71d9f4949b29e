/** A copy for which there is no room is refused before a byte is copied, and leaves nothing behind. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { formatSize } from '../../model/durations';
import { copyDisk } from '../../replication/copy';
import { placeOf, type ReplicaPlace } from '../../replication/place';
import { jobs } from '../../replication/target-graph';
import { stopTargetServer, withTargetServer } from '../../replication/target-server';
import { sh } from './support/tools';

const gibi = 1024 ** 3;
let folder: string;
let place: ReplicaPlace;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-room-'));
  place = placeOf(join(folder, 'replicas'), join(folder, 'run'), 'server-1');
  mkdirSync(dirname(place.pidFile), { recursive: true });
});
afterAll(async () => {
  await stopTargetServer(place);
  rmSync(folder, { recursive: true, force: true });
});

test('more data than the storage has room for', async () => {
  const { bavail, bsize } = statfsSync(folder);
  const sizeBytes = (Math.floor((bavail * bsize) / gibi) + 64) * gibi;
  // All of it is data to QEMU, and holes to the storage.
  const layer = join(folder, 'layer.qcow2');
  const full = ['-o', 'preallocation=metadata,cluster_size=2M'];
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', ...full, layer, String(sizeBytes));
  const before = readdirSync(folder);

  const path = join(folder, 'copy.qcow2');
  const copying = copyDisk(place, { diskId: 'disk0', chain: [layer], virtualSizeBytes: sizeBytes, path });
  await expect(copying).rejects.toMatchObject({
    family: 'OperatorError',
    facts: {
      what: `there is no room for the copy of disk0 in ${folder}`,
      found: expect.stringMatching(/^[\d.]+ \wiB free$/) as string,
      needed: `${formatSize(sizeBytes)} more for what is not copied yet`,
      remedy: expect.stringContaining('Free or add storage, then retry') as string,
    },
  });

  expect(readdirSync(folder).filter((name) => name !== 'run')).toEqual(before);
  const left = await withTargetServer(place, async (qmp) => ({
    jobs: await jobs(qmp),
    exports: await qmp.execute('query-block-exports'),
    marked: (await qmp.execute<object[]>('query-named-block-nodes')).filter((node) => 'dirty-bitmaps' in node),
  }));
  expect(left).toEqual({ jobs: [], exports: [], marked: [] });
});
