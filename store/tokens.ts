/**
 * People and their tokens. A token is 256 random bits behind `mst_`, shown once and kept as SHA-256: with that much
 * randomness an unsalted hash is enough, and looking the hash up compares nothing secret byte by byte.
 */
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { v7 as uuidv7 } from 'uuid';
import { OperatorError } from '../model/errors';
import { sha256Hex } from '../record/canonical';
import type { Person, PersonNow, Tokens } from './contract';
import { select, type Database, type Scope } from './database';
import { personOf, requirePersonName, settlePerson, type AskedPerson, type PersonRow } from './people';

export const tokenPrefix = 'mst_';
const tokenPattern = /^mst_[A-Za-z0-9_-]{43}$/;

interface TokenRow extends PersonRow {
  token_id: string;
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
}

export function createTokens(database: Database, scope: Scope, clock: () => Date): Tokens {
  const at = [scope.tenantId, scope.coreId];
  return {
    issue: async (person, expiresAt) => {
      const asked = { ...person, name: requirePersonName(person.name) };
      const expires = requireFuture(expiresAt, clock());
      return database.transaction(`a token for ${asked.name} could not be issued`, (trx) =>
        issue(trx, scope, asked, expires, clock()),
      );
    },
    verify: async (token) => {
      if (!tokenPattern.test(token)) return undefined;
      return database.query('a token could not be checked', (db) => verify(db, scope, token, clock()));
    },
    list: () =>
      database.query('the tokens could not be listed', async (db) => {
        const rows = await select<TokenRow>(db, `${tokensOf} order by t.created_at, t.token_id`, at);
        return rows.map((row) => ({
          tokenId: row.token_id,
          person: personOf(row),
          createdAt: row.created_at.toISOString(),
          expiresAt: row.expires_at?.toISOString() ?? null,
          revokedAt: row.revoked_at?.toISOString() ?? null,
        }));
      }),
    people: (ids) => database.query('people could not be looked up', (db) => people(db, scope, ids, clock())),
    revoke: (tokenId) =>
      database.query(`token ${tokenId} could not be revoked`, async (db) => {
        const rows = await select(
          db,
          `update muster.tokens set revoked_at = coalesce(revoked_at, ?)
           where tenant_id = ? and core_id = ? and token_id = ? returning token_id`,
          [clock(), ...at, tokenId.replaceAll('\0', '')],
        );
        if (rows.length === 0) throw unknownToken(tokenId);
      }),
  };
}

const tokensOf = `select t.token_id, t.person_id, p.name, p.role, p.scopes, t.created_at, t.expires_at, t.revoked_at
  from muster.tokens t join muster.people p using (tenant_id, core_id, person_id)
  where t.tenant_id = ? and t.core_id = ?`;

/** May enter: a token is good, or the one that ended last had merely run out. */
async function people(db: Knex, scope: Scope, ids: readonly string[], now: Date): Promise<PersonNow[]> {
  if (ids.length === 0) return [];
  const rows = await select<PersonRow & { may_enter: boolean }>(
    db,
    `select p.person_id, p.name, p.role, p.scopes, coalesce((
       select t.revoked_at is null from muster.tokens t
       where t.tenant_id = p.tenant_id and t.core_id = p.core_id and t.person_id = p.person_id
       order by (t.revoked_at is null and (t.expires_at is null or t.expires_at > ?)) desc,
         coalesce(t.revoked_at, t.expires_at) desc limit 1), false) as may_enter
     from muster.people p
     where p.tenant_id = ? and p.core_id = ? and p.person_id in (${ids.map(() => '?').join(', ')})`,
    [now, scope.tenantId, scope.coreId, ...ids],
  );
  return rows.map((row) => ({ ...personOf(row), mayEnter: row.may_enter }));
}

async function issue(
  trx: Knex,
  scope: Scope,
  asked: AskedPerson,
  expiresAt: Date | null,
  now: Date,
): Promise<{ person: Person; token: string; tokenId: string }> {
  const person = await settlePerson(trx, scope, asked, now);
  const token = `${tokenPrefix}${randomBytes(32).toString('base64url')}`;
  const tokenId = uuidv7();
  await select(
    trx,
    `insert into muster.tokens (tenant_id, core_id, token_id, person_id, token_sha256, created_at, expires_at)
     values (?, ?, ?, ?, ?, ?, ?)`,
    [scope.tenantId, scope.coreId, tokenId, person.id, sha256Hex(token), now, expiresAt],
  );
  return { person, token, tokenId };
}

/** A clock of this host that was set back makes no token live again: Postgres' own counts, too. */
async function verify(db: Knex, scope: Scope, token: string, now: Date) {
  const [row] = await select<TokenRow>(
    db,
    `${tokensOf} and t.token_sha256 = ? and t.revoked_at is null and (t.expires_at is null or t.expires_at > greatest(?, clock_timestamp()))`,
    [scope.tenantId, scope.coreId, sha256Hex(token), now],
  );
  if (row === undefined) return undefined;
  return { person: personOf(row), tokenId: row.token_id, expiresAt: row.expires_at?.toISOString() ?? null };
}

/** @throws OperatorError for what is no time, or has passed. */
function requireFuture(expiresAt: string | null, now: Date): Date | null {
  if (expiresAt === null) return null;
  const expires = new Date(expiresAt);
  if (expires.getTime() > now.getTime()) return expires;
  throw new OperatorError({
    what: 'the token would never be valid',
    found: `the expiry ${JSON.stringify(expiresAt)}`,
    needed: `a time after ${now.toISOString()}`,
    remedy: 'Give a later expiry, or none.',
  });
}

function unknownToken(tokenId: string): OperatorError {
  return new OperatorError({
    what: 'no token can be revoked',
    found: `the id ${JSON.stringify(tokenId.slice(0, 64))}`,
    needed: 'the id of a token',
    remedy: 'List the tokens with `muster token list`.',
  });
}
