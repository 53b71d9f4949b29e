/** Servers under protection: the whole ServerSpec as JSON text, so that a new field needs no migration. */
import { OperatorError } from '../model/errors';
import type { ServerSpec } from '../model/server';
import { storableText } from '../record/canonical';
import type { Servers } from './contract';
import { select, type Database, type Scope } from './database';
import { constraintOf } from './failures';

export function createServers(database: Database, scope: Scope): Servers {
  const at = [scope.tenantId, scope.coreId];
  return {
    save: (server) =>
      database.query(`server ${server.name} could not be saved`, async (db) => {
        try {
          await select(
            db,
            `insert into muster.servers (tenant_id, core_id, server_id, name, spec) values (?, ?, ?, ?, ?)
             on conflict (tenant_id, core_id, server_id)
             do update set name = excluded.name, spec = excluded.spec, saved_at = clock_timestamp()`,
            [...at, storableText(server.id), storableText(server.name), JSON.stringify(server)],
          );
        } catch (error) {
          throw constraintOf(error) === 'servers_name_once' ? nameTaken(server) : error;
        }
      }),
    list: () =>
      database.query('the servers could not be listed', async (db) => {
        const sql = 'select spec from muster.servers where tenant_id = ? and core_id = ? order by name';
        return (await select<{ spec: string }>(db, sql, at)).map(specOf);
      }),
    find: (idOrName) =>
      database.query(`server ${idOrName} could not be read`, async (db) => {
        const wanted = storableText(idOrName);
        const [row] = await select<{ spec: string }>(
          db,
          `select spec from muster.servers where tenant_id = ? and core_id = ? and (server_id = ? or name = ?)
           order by (server_id = ?) desc limit 1`,
          [...at, wanted, wanted, wanted],
        );
        return row === undefined ? undefined : specOf(row);
      }),
    remove: (id) =>
      database.query(`server ${id} could not be removed`, async (db) => {
        await select(db, 'delete from muster.servers where tenant_id = ? and core_id = ? and server_id = ?', [
          ...at,
          storableText(id),
        ]);
      }),
  };
}

const specOf = (row: { spec: string }): ServerSpec => JSON.parse(row.spec) as ServerSpec;

function nameTaken(server: ServerSpec): OperatorError {
  return new OperatorError({
    what: `server ${server.id} cannot be named ${JSON.stringify(server.name)}`,
    found: 'another server of that name',
    needed: 'a name of its own',
    remedy: 'Choose another name, or remove the other server first (`muster servers` lists them).',
  });
}
