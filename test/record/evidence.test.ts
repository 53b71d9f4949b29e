import { chmod, mkdir, mkdtemp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEvidenceKeeper } from '../../activities/evidence';
import { sha256Hex } from '../../record/canonical';
import { openEvidenceStore, type EvidenceStore } from '../../record/evidence';
import { evidenceMediaType, evidenceName } from '../../record/evidence-names';

async function withEvidence(
  use: (store: EvidenceStore, folder: string) => Promise<void>,
  maxBytes?: number,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-evidence-'));
  try {
    await use(
      openEvidenceStore({ folder: join(folder, 'evidence'), tenantId: 'main', coreId: 'main', maxBytes }),
      folder,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const pathIn = (folder: string, sha256: string): string =>
  join(folder, 'evidence', 'main', 'main', sha256.slice(0, 2), sha256.slice(2));

test('evidence lies under its SHA-256, with tenant and core in the path', () =>
  withEvidence(async (store, folder) => {
    const ref = await store.put('console text', 'console.log', 'text/plain');
    expect(ref).toEqual({
      sha256: sha256Hex('console text'),
      name: 'console.log',
      mediaType: 'text/plain',
      sizeBytes: 12,
    });
    expect((await readdir(join(pathIn(folder, ref.sha256), '..')))[0]).toBe(ref.sha256.slice(2));
    expect(String(await store.read(ref.sha256))).toBe('console text');
    expect(await store.verify(ref.sha256)).toEqual({ ok: true, sizeBytes: 12 });
  }));

test('the same content from several writers at once is one file and leaves no draft', () =>
  withEvidence(async (store, folder) => {
    const bytes = Buffer.alloc(300_000, 7);
    await writeFile(join(folder, 'source'), bytes);
    const refs = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        store.put(i % 2 === 0 ? bytes : { file: join(folder, 'source') }, `shot${i}.png`, 'image/png'),
      ),
    );
    expect(new Set(refs.map((ref) => ref.sha256))).toEqual(new Set([sha256Hex(bytes)]));
    expect(await readdir(join(folder, 'evidence', 'main', 'main', 'incoming'))).toEqual([]);
    expect(await readdir(join(pathIn(folder, sha256Hex(bytes)), '..'))).toHaveLength(1);
  }));

test('a damaged file is found by verify and replaced by the same content', () =>
  withEvidence(async (store, folder) => {
    const { sha256 } = await store.put('the truth', 'a.txt', 'text/plain');
    await chmod(pathIn(folder, sha256), 0o640);
    await truncate(pathIn(folder, sha256), 3);
    expect(await store.verify(sha256)).toEqual({ ok: false, why: 'changed', found: sha256Hex('the') });
    expect(await store.read(sha256)).toBeUndefined();
    await store.put('the truth', 'b.txt', 'text/plain');
    expect(await store.verify(sha256)).toMatchObject({ ok: true });
  }));

test('drafts that a killed process left are cleared a day later, fresh ones of others are not', () =>
  withEvidence(async (store, folder) => {
    const incoming = join(folder, 'evidence', 'main', 'main', 'incoming');
    await mkdir(incoming, { recursive: true });
    await writeFile(join(incoming, 'fresh'), '');
    await writeFile(join(incoming, 'old'), '');
    await utimes(join(incoming, 'old'), new Date(0), new Date(0));
    await store.put('x', 'x', 'text/plain');
    expect(await readdir(incoming)).toEqual(['fresh']);
  }));

test('what is not there is missing, not an error', () =>
  withEvidence(async (store) => {
    const sha256 = sha256Hex('never kept');
    expect(await store.verify(sha256)).toEqual({ ok: false, why: 'missing', found: null });
    expect(await store.open(sha256)).toBeUndefined();
    expect(await store.read(sha256)).toBeUndefined();
  }));

test('a name that is no SHA-256 reads nothing', () =>
  withEvidence(async (store) => {
    for (const name of ['../../../etc/passwd', '', 'A'.repeat(64), `${'a'.repeat(63)}/`]) {
      await expect(store.read(name)).rejects.toMatchObject({ name: 'PermanentError' });
    }
  }));

test('tenant and core ids that would leave the folder are refused', () => {
  for (const id of ['..', '.', '', 'a/b', '-rf', 'a\0b']) {
    expect(() => openEvidenceStore({ folder: '/nowhere', tenantId: id, coreId: 'main' })).toThrow(/tenant id/);
    expect(() => openEvidenceStore({ folder: '/nowhere', tenantId: 'main', coreId: id })).toThrow(/core id/);
  }
});

test('a file above the limit is refused and leaves nothing behind', () =>
  withEvidence(async (store, folder) => {
    await writeFile(join(folder, 'big'), Buffer.alloc(101));
    await expect(store.put({ file: join(folder, 'big') }, 'big', 'text/plain')).rejects.toMatchObject({
      name: 'PermanentError',
      message: expect.stringContaining('100 bytes'),
    });
    expect((await store.put(Buffer.alloc(100), 'fits', 'text/plain')).sizeBytes).toBe(100);
    expect(await readdir(join(folder, 'evidence', 'main', 'main', 'incoming'))).toEqual([]);
  }, 100));

test('a folder is not evidence', () =>
  withEvidence(async (store, folder) => {
    await expect(store.put({ file: folder }, 'x', 'text/plain')).rejects.toMatchObject({ name: 'PermanentError' });
  }));

test('an evidence folder that cannot be made is for an operator', () =>
  withEvidence(async (store, folder) => {
    await writeFile(join(folder, 'evidence'), 'a file in its place');
    await expect(store.put('x', 'x', 'text/plain')).rejects.toMatchObject({ name: 'OperatorError' });
  }));

test('names lose their path and whatever a page or header would take for syntax', () => {
  expect(evidenceName('../../etc/passwd')).toBe('passwd');
  expect(evidenceName('C:\\logs\\boot.log')).toBe('boot.log');
  expect(evidenceName('a"b\r\nc<d>\u202e.txt')).toBe('a_bc_d_.txt');
  expect(evidenceName('..')).toBe('evidence');
  expect(evidenceName('\0')).toBe('evidence');
  const long = evidenceName(`${'x'.repeat(300)}.png`);
  expect(long.length).toBeLessThanOrEqual(120);
  expect(long.endsWith('.png')).toBe(true);
});

test('media types that a browser would run become plain text', () => {
  expect(evidenceMediaType('Image/PNG')).toBe('image/png');
  expect(evidenceMediaType('text/plain; charset=utf-8')).toBe('text/plain');
  for (const active of ['text/html', 'image/svg+xml', 'application/javascript', 'application/xhtml+xml']) {
    expect(evidenceMediaType(active)).toBe('text/plain');
  }
  for (const none of ['', 'png', 'a/b/c', 'text/pl\nain']) {
    expect(evidenceMediaType(none)).toBe('application/octet-stream');
  }
});

test('evidence that cannot be kept is told, stands in the record as not kept, and does not fail the effect', () =>
  withEvidence(async (store, folder) => {
    const lost: string[] = [];
    const options = { folder: join(folder, 'evidence'), maxBytes: 5 };
    const keeper = createEvidenceKeeper(options, (name) => lost.push(name));
    const owner = { tenantId: 'main', coreId: 'main' };
    const kept = await keeper.put(owner, Buffer.from('fits'), 'small.txt', 'text/plain');
    const missing = await keeper.put(owner, Buffer.from('too long'), 'console.log', 'text/html');
    expect(missing).toEqual({
      sha256: sha256Hex('too long'),
      name: 'console.log (not kept)',
      mediaType: 'text/plain',
      sizeBytes: 8,
    });
    expect(lost).toEqual(['console.log']);
    expect(await store.verify(kept.sha256)).toMatchObject({ ok: true });
    expect(await store.verify(missing.sha256)).toMatchObject({ ok: false, why: 'missing' });
  }));

test('evidence of two tenants never meets', () =>
  withEvidence(async (store, folder) => {
    await mkdir(join(folder, 'evidence'), { recursive: true });
    const other = openEvidenceStore({ folder: join(folder, 'evidence'), tenantId: 'other', coreId: 'main' });
    const { sha256 } = await store.put('secret of main', 'a', 'text/plain');
    expect(await other.read(sha256)).toBeUndefined();
  }));
