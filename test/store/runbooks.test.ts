import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { withStore } from './store';

const shop = (text = 'format: 1\nname: shop\n') =>
  ({ name: 'shop', text, title: 'Shop', tier: 1, includes: ['directory'], importedBy: 'Ada' }) as const;

test('each text is a version of its own, pinned by its hash; the same text again is the version that it was', () =>
  withStore(async (store) => {
    const first = await store.runbooks.import(shop());
    const again = await store.runbooks.import({ ...shop(), importedBy: 'Bert' });
    const second = await store.runbooks.import(shop('format: 1\nname: shop\n# changed\n'));
    const sha256 = createHash('sha256').update(shop().text).digest('hex');
    expect(first).toMatchObject({ seenBefore: false, runbook: { ...shop(), version: 1, sha256 } });
    expect(again).toMatchObject({ seenBefore: true, runbook: { version: 1, importedBy: 'Ada' } });
    expect(second).toMatchObject({ seenBefore: false, runbook: { version: 2 } });
    expect(await store.runbooks.find('shop')).toMatchObject({ version: 2 });
    expect(await store.runbooks.find('shop', 1)).toEqual(first.runbook);
    expect(await store.runbooks.find('nothing')).toBeUndefined();
    expect((await store.runbooks.versions('shop')).map(({ version }) => version)).toEqual([2, 1]);
    expect((await store.runbooks.latest()).map(({ name, version }) => [name, version])).toEqual([['shop', 2]]);
  }));

test('many who import at once get one version for each text', () =>
  withStore(async (store) => {
    const texts = Array.from({ length: 12 }, (_, index) => `format: 1 # ${index % 4}\n`);
    const imported = await Promise.all(texts.map((text) => store.runbooks.import(shop(text))));
    expect(new Set(imported.map(({ runbook }) => runbook.version))).toEqual(new Set([1, 2, 3, 4]));
    expect(imported.filter(({ seenBefore }) => !seenBefore)).toHaveLength(4);
  }));

test('the application may not change or remove what was imported', () =>
  withStore(async (store, url) => {
    await store.runbooks.import(shop());
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query('set role muster_app');
      await expect(client.query(`update muster.runbooks set text = ''`)).rejects.toMatchObject({ code: '42501' });
      await expect(client.query('delete from muster.runbooks')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.end();
    }
  }));
