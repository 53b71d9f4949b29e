/** Imported runbooks as they are read from their texts, however many ask for one at the same time. */
import { createHash } from 'node:crypto';
import { readStored } from '../../api/runbooks/stored';
import type { StoredRunbook } from '../../store/contract';

const stored = (text: string): StoredRunbook => ({
  ...{ name: 'shop', version: 1, title: 'Shop', tier: 1, includes: [], text },
  ...{ importedBy: 'Ada', importedAt: '2026-01-01T00:00:00.000Z' },
  sha256: createHash('sha256').update(text).digest('hex'),
});
/** So long that it is read in a thread, one after the other. */
const long = `format: 1\nname: shop\ntitle: Shop\n${'# says nothing\n'.repeat(2_000)}`;

test('a long text that many ask for at once is read once, for each in its own version', async () => {
  const asked = Array.from({ length: 30 }, (_, index) => readStored({ ...stored(long), version: index + 1 }));
  const read = await Promise.all(asked);
  expect(read.map(({ version }) => version)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  expect(new Set(read.map(({ runbook }) => runbook)).size).toBe(1);
  expect(read[0]!.runbook).toMatchObject({ name: 'shop', tier: 3 });
});

test('a text that cannot be read is said with its place, each time', async () => {
  const broken = stored('format: 1\nname: shop\ntitle: Shop\nwaves: 7\n');
  for (const _ of [1, 2]) {
    await expect(readStored(broken)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringMatching(
        /^Version 1 of runbook shop cannot be read: line 4, column 1: found "7", needed a list/,
      ),
    });
  }
});
