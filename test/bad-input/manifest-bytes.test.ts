/** Damage byte by byte: whatever happens to a manifest's bytes, the point is either as it was or not offered. */
import { readFile, writeFile } from 'node:fs/promises';
import { openSmallReplica, server, type SmallReplica } from './support/small-replica';

// Generous: the machine may be busy with other suites.
jest.setTimeout(120_000);

let replica: SmallReplica;
let whole: Buffer;
beforeAll(async () => {
  replica = await openSmallReplica();
  whole = await readFile(replica.manifestFile(3));
});
afterAll(() => replica?.close());

const points = () => replica.replicas.points(server.id);
const sequences = async () => (await points()).map((point) => point.sequence);

test('a manifest that is cut short at any tenth byte costs its point alone', async () => {
  for (let length = 0; length < whole.length - 1; length += 10) {
    await writeFile(replica.manifestFile(3), whole.subarray(0, length));
    expect([length, await sequences()]).toEqual([length, [1, 2]]);
    expect((await replica.replicas.view(server.id))!.lastError).toContain('00000003-point-3.json is damaged');
  }
  await writeFile(replica.manifestFile(3), whole);
  expect(await sequences()).toEqual([1, 2, 3]);
});

test('a flipped bit anywhere is noticed, or is where it says nothing', async () => {
  const random = generator(20_261_121);
  let noticed = 0;
  for (let round = 0; round < 200; round++) {
    const bit = Math.floor(random() * whole.length * 8);
    const bytes = Buffer.from(whole);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(replica.manifestFile(3), bytes);
    const seen = await points();
    if (seen.length === 2) noticed += 1;
    // Only the name of the digest's field can change unseen; then the content is still what it was.
    else expect([bit, seen]).toEqual([bit, replica.manifests]);
  }
  expect(noticed).toBeGreaterThan(180);
});

test('a manifest without a digest, as earlier versions wrote it, is read', async () => {
  const manifest = JSON.parse(whole.toString('utf8')) as Record<string, unknown>;
  delete manifest['digest'];
  await writeFile(replica.manifestFile(3), JSON.stringify(manifest));
  expect(await points()).toEqual(replica.manifests);
});

/** The same numbers in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
