import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { Client } from 'pg';
import { openStore } from '../../store/open-store';
import { freePort } from '../../stack/ports';
import { withDb } from '../support/postgres';
import { batch, newRunId, noted, opened } from './run-events';

const transient = { name: 'TransientError', message: expect.stringContaining('tried again by itself') };

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

interface Wire {
  readonly url: string;
  /** As a lost route does: connections stay open, nothing comes through. */
  silence(on: boolean): void;
  /** As a stopped server does: connections end, new ones are refused. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

/** A wire to the real Postgres that the test can break. */
async function withWire(url: string, use: (wire: Wire) => Promise<void>): Promise<void> {
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
  const listen = (port: number) => new Promise<void>((resolve) => wire.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = wire.address() as AddressInfo;
  const cut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (wire.listening) await new Promise((resolve) => wire.close(resolve));
  };
  try {
    const through = Object.assign(new URL(url), { port: String(port) }).toString();
    await use({ url: through, silence: (on) => void (silent = on), cut, mend: () => listen(port) });
  } finally {
    await cut();
  }
}

test('Postgres gone and back: calls fail as transient, the same flush then succeeds, nothing twice', () =>
  withDb(({ url }) =>
    withWire(url, async (wire) => {
      const store = openStore(wire.url);
      const runId = newRunId();
      try {
        const calls = Array.from({ length: 4 }, () => store.journal.append(batch(runId, 1, [opened(runId)])));
        const [first] = await Promise.all(calls);
        await wire.cut();
        await expect(store.journal.append(batch(runId, 2, [noted('two')]))).rejects.toMatchObject(transient);
        await expect(store.tokens.verify(`mst_${'A'.repeat(43)}`)).rejects.toMatchObject(transient);
        await wire.mend();
        expect(await store.journal.append(batch(runId, 1, [opened(runId)]))).toEqual(first);
        await store.journal.append(batch(runId, 2, [noted('two')]));
        expect(await store.journal.rows(runId)).toHaveLength(2);
      } finally {
        await store.close();
      }
    }),
  ));

test('sessions that Postgres itself ends are replaced at the next call', () =>
  withDb(async ({ url }) => {
    const store = openStore(url);
    await Promise.all([store.ping(), store.ping(), store.ping()]);
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    await client.end();
    // A call may still meet a session whose end has not been read yet: transient. The pool does not stay broken.
    await store.ping().catch((error: unknown) => expect(error).toMatchObject(transient));
    await store.ping().catch((error: unknown) => expect(error).toMatchObject(transient));
    await store.ping().catch((error: unknown) => expect(error).toMatchObject(transient));
    await store.ping();
    await store.close();
  }));

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
    const store = openStore(url, { statementTimeoutMs: 2_000 });
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
