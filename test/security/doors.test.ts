/** Doors of the host, the database and the record: what other users, other tenants and other people cannot open. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { openLeaseFolder } from '../../activities/lease';
import { createSecrets } from '../../activities/secrets';
import { openSocketFolder, placeOf } from '../../replication/place';
import { stopTargetServer, withTargetServer } from '../../replication/target-server';
import { dataFolderAt, openDataFolder, writePrivately } from '../../stack/data-folder';
import { lockFolder } from '../../stack/lock';
import { startPart } from '../../stack/part';
import { openStore } from '../../store/open-store';
import { withStore } from '../store/store';
import { withDb } from '../support/postgres';

let folder: string;
let umask: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-doors-'));
  // Whoever starts Muster may have set any; what is private must not depend on it.
  umask = process.umask(0);
});
afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true, force: true });
});

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

describe('on the host', () => {
  test('the data folder can be passed and not listed, and what is private in it is private under any umask', async () => {
    const root = join(folder, 'data');
    await openDataFolder(root);
    const { logs, secrets, tokenFile, lockFile } = dataFolderAt(root);
    await writePrivately(tokenFile, 'mst_x\n');
    chmodSync(tokenFile, 0o644);
    await writePrivately(tokenFile, 'mst_y\n');
    await openLeaseFolder(join(root, 'leases'));
    const lock = await lockFolder(lockFile, () => Promise.resolve('nobody'));
    await lock.release();
    const part = startPart({ name: 'true', file: 'true', args: [], logFile: join(logs, 'part.log') });
    await part.ended;
    const places = { root, logs, secrets, leases: join(root, 'leases'), temporal: join(root, 'temporal') };
    const files = { tokenFile, lockFile, format: join(root, 'format'), log: part.logFile };
    const modes = (paths: object) =>
      Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, modeOf(path)]));
    expect(modes(places)).toEqual({ root: '711', logs: '700', secrets: '700', leases: '700', temporal: '700' });
    expect(modes(files)).toEqual({ tokenFile: '600', lockFile: '600', format: '600', log: '600' });
  });

  test('a target server’s sockets lie where only its own user comes', async () => {
    const place = placeOf(join(folder, 'replicas'), join(folder, 'run'), 'server-1');
    mkdirSync(join(place.pidFile, '..'), { recursive: true });
    await withTargetServer(place, (qmp) => qmp.execute('query-version'));
    expect([place.socketFolder, join(folder, 'run')].map(modeOf)).toEqual(['700', '700']);
    await stopTargetServer(place);
  });

  const asRoot = process.getuid?.() === 0;
  test.each<[string, (runtime: string, own: string) => void]>([
    ['a runtime folder that others can write', (runtime) => (mkdirSync(runtime), chmodSync(runtime, 0o777))],
    [
      'a folder of sockets that its group can write',
      (_runtime, own) => (mkdirSync(own, { recursive: true }), chmodSync(own, 0o770)),
    ],
    [
      'a runtime folder that is a link',
      (runtime) => (mkdirSync(`${runtime}-other`), symlinkSync(`${runtime}-other`, runtime)),
    ],
    ...(asRoot
      ? ([['another user’s runtime folder', (runtime) => (mkdirSync(runtime), chownSync(runtime, 12345, 12345))]] as [
          string,
          (runtime: string, own: string) => void,
        ][])
      : []),
  ])('%s is refused for sockets, and nothing is started there', async (_what, prepare) => {
    process.umask(0o022);
    const runtime = join(folder, 'run');
    const place = placeOf(join(folder, 'replicas'), runtime, 'server-1');
    prepare(runtime, place.socketFolder);
    await expect(openSocketFolder(place)).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringMatching(
        /sockets cannot be in .*: found .*run.* with mode .*needed a folder of the worker/,
      ),
    });
    await expect(withTargetServer(place, () => Promise.resolve())).rejects.toMatchObject({ name: 'OperatorError' });
  });

  test('a secret is a file of the folder of secrets: no pipe that waits, no link, no way out', async () => {
    const secrets = createSecrets({ folder: join(folder, 'secrets'), environment: {} });
    mkdirSync(join(folder, 'secrets', 'sub'), { recursive: true });
    writeFileSync(join(folder, 'outside'), 'c4n4ry', { mode: 0o600 });
    writeFileSync(join(folder, 'secrets', 'sub', 'key'), 'c4n4ry', { mode: 0o600 });
    symlinkSync(join(folder, 'outside'), join(folder, 'secrets', 'link'));
    expect(spawnSync('mkfifo', ['-m', '600', join(folder, 'secrets', 'pipe')]).status).toBe(0);
    for (const name of [
      'pipe',
      'link',
      '../outside',
      'sub/key',
      'sub/../../outside',
      '.',
      '..',
      '',
      '/etc/passwd',
      'a\0b',
    ]) {
      const error = await secrets({ from: 'file', name }).then(
        () => undefined,
        (caught: Error) => caught,
      );
      expect([name, error?.name]).toEqual([name, 'OperatorError']);
      expect(error!.message).not.toContain('c4n4ry');
    }
  });
});

describe('in the database', () => {
  const other = { tenantId: 'other' };

  test('the application’s role has these rights and no others, and nobody else has any', () =>
    withDb(async ({ url }) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      const { rows } = await client
        .query<{ grantee: string; name: string; rights: string }>(
          `select grantee, table_name as name, string_agg(lower(privilege_type), ' ' order by privilege_type) as rights
           from information_schema.table_privileges
           where table_schema = 'muster' and grantee <> current_user group by 1, 2 order by 1, 2`,
        )
        .finally(() => client.end());
      expect(new Set(rows.map(({ grantee }) => grantee))).toEqual(new Set(['muster_app']));
      expect(Object.fromEntries(rows.map(({ name, rights }) => [name, rights]))).toEqual({
        chains: 'insert select update',
        idempotency_keys: 'insert select',
        journal: 'insert select',
        journal_flushes: 'insert select',
        ledger: 'insert select',
        migrations: 'select',
        notices: 'insert select update',
        notifications: 'insert select update',
        parkings: 'delete insert select update',
        people: 'insert select update',
        rehearsals: 'insert select update',
        risk_sources: 'insert select update',
        risks: 'insert select update',
        runbooks: 'insert select',
        run_times: 'insert select',
        runs: 'insert select update',
        servers: 'delete insert select update',
        sites_seen: 'insert select update',
        tokens: 'insert select update',
      });
    }));

  test('a token opens the doors of its own tenant only, and is revoked there only', () =>
    withStore(async (store, url) => {
      const stranger = openStore(url, other);
      const { token, tokenId } = await store.tokens.issue({ name: 'Anna', role: 'admin' }, null);
      try {
        expect(await stranger.tokens.verify(token)).toBeUndefined();
        expect(await stranger.tokens.list()).toEqual([]);
        await expect(stranger.tokens.revoke(tokenId)).rejects.toMatchObject({ name: 'OperatorError' });
        expect(await store.tokens.verify(token)).toMatchObject({ tokenId });
      } finally {
        await stranger.close();
      }
    }));

  test('an idempotency key of one tenant or core answers nobody of another', () =>
    withStore(async (store, url) => {
      const strangers = [other, { coreId: 'other' }].map((scope) => openStore(url, scope));
      try {
        await store.idempotency.remember('key', 'content', { runId: 'run-a' });
        for (const stranger of strangers) {
          const answer = await stranger.idempotency.remember('key', 'other content', { runId: 'run-b' });
          expect(answer).toEqual({ runId: 'run-b', seenBefore: false });
        }
        const again = await store.idempotency.remember('key', 'content', { runId: 'run-c' });
        expect(again).toEqual({ runId: 'run-a', seenBefore: true });
      } finally {
        await Promise.all(strangers.map((stranger) => stranger.close()));
      }
    }));
});
