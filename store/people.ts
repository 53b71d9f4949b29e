/** People behind tokens: one row per name, so that two tokens of one person count as one person. */
import type { Knex } from 'knex';
import { v7 as uuidv7 } from 'uuid';
import { OperatorError } from '../model/errors';
import { scopeWords } from '../model/access';
import type { AccessScope } from '../model/people';
import type { Person, Role } from './contract';
import { select, type Scope } from './database';

const maxNameLength = 120;

/**
 * The person of this name, made where there is none.
 *
 * Another role than before is taken only when no live token would change its power by it.
 *
 * @throws OperatorError when the person has live tokens under another role
 */
export async function settlePerson(trx: Knex, scope: Scope, asked: AskedPerson, now: Date): Promise<Person> {
  const at = [scope.tenantId, scope.coreId];
  const scopes = scopesText(asked.scopes);
  await select(
    trx,
    `insert into muster.people (tenant_id, core_id, person_id, name, role, scopes, created_at)
     values (?, ?, ?, ?, ?, ?, ?) on conflict on constraint people_name_once do nothing`,
    [...at, uuidv7(), asked.name, asked.role, scopes, now],
  );
  // The row's lock makes two changes of role take turns.
  const [known] = await select<{ person_id: string; role: Role; scopes: string }>(
    trx,
    'select person_id, role, scopes from muster.people where tenant_id = ? and core_id = ? and name = ? for update',
    [...at, asked.name],
  );
  const id = known!.person_id;
  if (known!.role === asked.role && known!.scopes === scopes) return personOf({ ...known!, scopes, name: asked.name });
  const live = await select<{ token_id: string }>(
    trx,
    `select token_id from muster.tokens where tenant_id = ? and core_id = ? and person_id = ?
     and revoked_at is null and (expires_at is null or expires_at > ?)`,
    [...at, id, now],
  );
  if (live.length > 0)
    throw otherRole(
      asked,
      personOf({ ...known!, name: asked.name }),
      live.map((token) => token.token_id),
    );
  await select(
    trx,
    'update muster.people set role = ?, scopes = ? where tenant_id = ? and core_id = ? and person_id = ?',
    [asked.role, scopes, ...at, id],
  );
  return personOf({ person_id: id, name: asked.name, role: asked.role, scopes });
}

export interface AskedPerson {
  readonly name: string;
  readonly role: Role;
  readonly scopes?: readonly AccessScope[];
}

/** In one order and without repetition, so that the same scopes are the same text. */
function scopesText(scopes: readonly AccessScope[] = []): string {
  const keys = [...new Set(scopes.map(({ kind, name }) => JSON.stringify({ kind, name })))];
  return `[${keys.sort().join(',')}]`;
}

export interface PersonRow {
  readonly person_id: string;
  readonly name: string;
  readonly role: Role;
  /** JSON text of AccessScope[]. */
  readonly scopes: string;
}

/** Everywhere is said by no scopes at all. */
export function personOf({ person_id: id, name, role, scopes: text }: PersonRow): Person {
  const scopes = JSON.parse(text) as AccessScope[];
  return { id, name, role, ...(scopes.length === 0 ? {} : { scopes }) };
}

/** A name that fits one line of the record. @throws OperatorError otherwise */
export function requirePersonName(name: string): string {
  const trimmed = name.trim();
  if (trimmed !== '' && trimmed.length <= maxNameLength && !/[\p{Cc}\p{Surrogate}]/u.test(trimmed)) return trimmed;
  throw new OperatorError({
    what: 'a person needs a name',
    found: JSON.stringify(name.slice(0, maxNameLength)),
    needed: `1 to ${maxNameLength} characters on one line`,
    remedy: 'Name the person who will hold the token: it stands in the record.',
  });
}

function otherRole(asked: AskedPerson, found: Person, tokenIds: readonly string[]): OperatorError {
  return new OperatorError({
    what: `${asked.name} cannot become ${asked.role} ${scopeWords(asked.scopes)}`,
    found: `the role ${found.role} ${scopeWords(found.scopes)} with live tokens ${tokenIds.join(', ')}`,
    needed: 'no live token, or the same role at the same places',
    remedy: 'Revoke those tokens first; a token never changes what it may do.',
  });
}
