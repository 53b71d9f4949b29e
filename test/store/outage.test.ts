import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { migrate } from '../../store/migrate';
import { openStore } from '../../store/open-store';
import { freePort } from '../../stack/ports';
import { findPostgres } from '../../stack/postgres-binaries';
import { postgresUrl, startPostgres, stopPostgres, type PostgresOptions } from '../../stack/postgres-server';
import { cacheFolder } from '../../stack/temporal-binary';
import { withDb } from '../support/postgres';
import { batch, newRunId, noted, opened } from './run-events';

const transient = { name: 'TransientError', message: expect.stringContaining('tried again by itself') };

test('Postgres stopped and back: calls fail as transient, the same flush then succeeds, nothing twice', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-outage-'));
  await chmod(folder, 0o711);
  const options: PostgresOptions = {
    programs: await findPostgres(join(cacheFolder(), 'postgres')),
    folder: join(folder, 'postgres'),
    host: '127.0.0.1',
    port: await freePort(),
    password: undefined,
    settings: ['fsync=off', 'shared_buffers=16MB'],
    logFile: join(folder, 'postgres.log'),
  };
  let part = await startPostgres(options);
  const url = postgresUrl(options, 'postgres');
  const store = openStore(url);
  try {
    await migrate(url);
    const runId = newRunId();
    const calls = Array.from({ length: 4 }, () => store.journal.append(batch(runId, 1, [opened(runId)])));
    const [first] = await Promise.all(calls);
    await stopPostgres(part);
    await expect(store.journal.append(batch(runId, 2, [noted('two')]))).rejects.toMatchObject(transient);
    await expect(store.tokens.verify(`mst_${'A'.repeat(43)}`)).rejects.toMatchObject(transient);
    await expect(store.ping()).rejects.toMatchObject(transient);
    part = await startPostgres(options);
    expect(await store.journal.append(batch(runId, 1, [opened(runId)]))).toEqual(first);
    await store.journal.append(batch(runId, 2, [noted('two')]));
    expect(await store.journal.rows(runId)).toHaveLength(2);
  } finally {
    await store.close();
    await stopPostgres(part);
    await rm(folder, { recursive: true, force: true });
  }
});

test('a store can be opened while nothing listens, and says where it looked without the password', async () => {
  const store = openStore(`postgres://muster:hush@127.0.0.1:${await freePort()}/muster`);
  const failure = await store.ping().catch((error: Error) => error);
  expect(failure).toMatchObject({
    ...transient,
    message: expect.stringMatching(/ECONNREFUSED.*127\.0\.0\.1:\d+\/muster/),
  });
  expect(String(failure)).not.toContain('hush');
  await store.close();
});

/** A wire to Postgres that can go silent, as a lost route does: connections stay open, nothing comes through. */
async function withWire(url: string, use: (wire: { url: string; silence(on: boolean): void }) => Promise<void>) {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let silent = false;
  const wire = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const pass = (from: Socket, to: Socket): void => {
      sockets.add(from);
      from.on('data', (data) => void (silent || to.write(data)));
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
    };
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  const through = Object.assign(new URL(url), { port: String((wire.address() as AddressInfo).port) }).toString();
  try {
    await use({ url: through, silence: (on) => void (silent = on) });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => wire.close(resolve));
  }
}

test('a Postgres that hangs fails calls in time, new connections too, and the pool recovers when it answers', () =>
  withDb(({ url }) =>
    withWire(url, async (wire) => {
      const store = openStore(wire.url, {
        connectTimeoutMs: 1_500,
        statementTimeoutMs: 1_200,
        silenceTimeoutMs: 1_500,
      });
      const runId = newRunId();
      try {
        await store.journal.append(batch(runId, 1, [opened(runId)]));
        wire.silence(true);
        const calls = [store.journal.append(batch(runId, 2, [noted('two')])), store.ping(), store.runs.get(runId)];
        const results = await Promise.allSettled(calls);
        expect(results.map((result) => result.status === 'rejected' && result.reason)).toMatchObject([
          transient,
          transient,
          transient,
        ]);
        wire.silence(false);
        await store.journal.append(batch(runId, 2, [noted('two')]));
        expect(await store.journal.rows(runId)).toHaveLength(2);
      } finally {
        await store.close();
      }
    }),
  ));

test('a run whose chain somebody else holds locked is a transient failure, not a wait without end', () =>
  withDb(async ({ url }) => {
    const holder = openStore(url);
    const store = openStore(url, { statementTimeoutMs: 200 });
    const runId = newRunId();
    await holder.journal.append(batch(runId, 1, [opened(runId)]));
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('begin');
    await client.query('select 1 from muster.chains where run_id = $1 for update', [runId]);
    await expect(store.journal.append(batch(runId, 2, [noted('two')]))).rejects.toMatchObject(transient);
    await client.query('rollback');
    await client.end();
    expect((await store.journal.append(batch(runId, 2, [noted('two')]))).lastSequence).toBe(2);
    await Promise.all([holder.close(), store.close()]);
  }));
