import { Client } from 'pg';
import { withStore } from './store';

const start = Date.UTC(2026, 0, 1);

/** A clock that the test moves. */
function movableClock() {
  let now = start;
  return { clock: () => new Date(now), advance: (ms: number) => (now += ms) };
}

test('a token is shown once, names its person and role, and is stored as a hash', () =>
  withStore(async (store, url) => {
    const { person, token, tokenId } = await store.tokens.issue({ name: ' Anna ', role: 'operator' }, null);
    expect(token).toMatch(/^mst_[A-Za-z0-9_-]{43}$/);
    expect(await store.tokens.verify(token)).toEqual({
      person: { ...person, name: 'Anna', role: 'operator' },
      tokenId,
      expiresAt: null,
    });
    const client = new Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<{ dump: string }>('select (t.*)::text as dump from muster.tokens t');
    await client.end();
    expect(rows[0]!.dump).not.toContain(token.slice(4));
  }));

test('what is no token, or nobody issued, is unknown', () =>
  withStore(async (store) => {
    const { token } = await store.tokens.issue({ name: 'Anna', role: 'viewer' }, null);
    for (const other of ['', 'mst_', token.slice(0, -1), `${token}x`, `mst_${'A'.repeat(43)}`, token.toUpperCase()]) {
      expect(await store.tokens.verify(other)).toBeUndefined();
    }
  }));

test('a token ends at its expiry, by the clock of this host or that of Postgres, whichever is ahead', async () => {
  let aheadMs = 0;
  const clock = () => new Date(Date.now() + aheadMs);
  const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
  await withStore(
    async (store) => {
      const { token } = await store.tokens.issue({ name: 'Anna', role: 'viewer' }, inMs(3_600_000));
      expect(await store.tokens.verify(token)).toMatchObject({ person: { name: 'Anna' } });
      aheadMs = 3_600_000;
      expect(await store.tokens.verify(token)).toBeUndefined();
      // A clock that is set back makes nothing good that has ended.
      aheadMs = -7_200_000;
      const ended = await store.tokens.issue({ name: 'Bert', role: 'viewer' }, inMs(-1));
      expect(await store.tokens.verify(ended.token)).toBeUndefined();
    },
    { clock },
  );
});

test('an expiry that has passed, or is no time, is refused', async () => {
  const { clock } = movableClock();
  await withStore(
    async (store) => {
      for (const expiry of [new Date(start).toISOString(), 'tomorrow']) {
        await expect(store.tokens.issue({ name: 'Anna', role: 'viewer' }, expiry)).rejects.toMatchObject({
          name: 'OperatorError',
        });
      }
    },
    { clock },
  );
});

test('a revoked token is unknown at once; revoking again changes nothing, an unknown id is refused', async () => {
  const { clock, advance } = movableClock();
  await withStore(
    async (store) => {
      const { token, tokenId } = await store.tokens.issue({ name: 'Anna', role: 'viewer' }, null);
      await store.tokens.revoke(tokenId);
      advance(5000);
      await store.tokens.revoke(tokenId);
      expect(await store.tokens.verify(token)).toBeUndefined();
      expect(await store.tokens.list()).toMatchObject([{ tokenId, revokedAt: new Date(start).toISOString() }]);
      await expect(store.tokens.revoke('nothing')).rejects.toMatchObject({ name: 'OperatorError' });
    },
    { clock },
  );
});

test('two tokens of one name are one person, also when issued at once', () =>
  withStore(async (store) => {
    const issued = await Promise.all(
      Array.from({ length: 6 }, () => store.tokens.issue({ name: 'Anna', role: 'operator' }, null)),
    );
    expect(new Set(issued.map(({ person }) => person.id)).size).toBe(1);
    expect(new Set(issued.map(({ token }) => token)).size).toBe(6);
    expect(await store.tokens.list()).toHaveLength(6);
  }));

test('a live token never changes its power: another role needs the old tokens revoked first', () =>
  withStore(async (store) => {
    const old = await store.tokens.issue({ name: 'Anna', role: 'viewer' }, null);
    await expect(store.tokens.issue({ name: 'Anna', role: 'admin' }, null)).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringContaining(old.tokenId),
    });
    expect((await store.tokens.verify(old.token))?.person.role).toBe('viewer');
    await store.tokens.revoke(old.tokenId);
    const fresh = await store.tokens.issue({ name: 'Anna', role: 'admin' }, null);
    expect(fresh.person).toEqual({ ...old.person, role: 'admin' });
  }));

test('a name that would not fit one line of the record is refused', () =>
  withStore(async (store) => {
    for (const name of ['', '  ', 'two\nlines', 'nul\0', 'x'.repeat(121), '\ud800']) {
      await expect(store.tokens.issue({ name, role: 'viewer' }, null)).rejects.toMatchObject({ name: 'OperatorError' });
    }
  }));
