import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { withStore } from './store';

const shop = (text = 'format: 1\nname: shop\n') =>
  ({ name: 'shop', text, title: 'Shop', tier: 1, includes: ['directory'], importedBy: 'Ada' }) as const;

test('each text is a version of its own, pinned by its hash; the newest text again is the version that it is', () =>
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

test('an earlier text again is a version of its own, and the newest', () =>
  withStore(async (store) => {
    const [one, other] = [shop(), shop('format: 1\nname: shop\n# changed\n')];
    for (const text of [one, other]) await store.runbooks.import(text);
    const back = await store.runbooks.import({ ...one, importedBy: 'Bert' });
    expect(back).toMatchObject({ seenBefore: false, sameAs: 1, runbook: { ...one, version: 3, importedBy: 'Bert' } });
    expect(await store.runbooks.find('shop')).toEqual(back.runbook);
    expect(await store.runbooks.find('shop', 1)).toMatchObject({ importedBy: 'Ada', sha256: back.runbook.sha256 });
    expect(await store.runbooks.import(one)).toEqual({ ...back, seenBefore: true, sameAs: null });
    await store.runbooks.import(other);
    expect(await store.runbooks.import(one)).toMatchObject({ sameAs: 3, runbook: { version: 5 } });
    expect((await store.runbooks.versions('shop')).map(({ version }) => version)).toEqual([5, 4, 3, 2, 1]);
  }));

test('many who import one text at once get one version of it; of several texts each answer is the newest of its moment', () =>
  withStore(async (store) => {
    const same = await Promise.all(Array.from({ length: 8 }, () => store.runbooks.import(shop())));
    expect(same.map(({ runbook }) => runbook.version)).toEqual(Array(8).fill(1));
    expect(same.filter(({ seenBefore }) => !seenBefore)).toHaveLength(1);
    const texts = Array.from({ length: 12 }, (_, index) => `format: 1 # ${index % 4}\n`);
    const imported = await Promise.all(texts.map((text) => store.runbooks.import(shop(text))));
    expect(imported.map(({ runbook }) => runbook.text)).toEqual(texts);
    const versions = (await store.runbooks.versions('shop')).reverse();
    expect(versions.map(({ version }) => version)).toEqual(versions.map((_, index) => index + 1));
    const twice = versions.filter(({ sha256 }, index) => sha256 === versions[index - 1]?.sha256);
    expect(twice).toEqual([]);
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
