/** Secrets: their folder, and every reference of the configuration and of the servers resolved, with nothing of them shown. */
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { createSecrets, type Secrets } from '../../activities/secrets';
import { readPostgresUrl } from '../../config/postgres-url';
import { describeSecretRef, parseSecretRef, type SecretRef } from '../../model/secrets';
import type { ServerSpec } from '../../model/server';
import { takeSecretVariables } from '../../programs/environment';
import { openStore } from '../../store/open-store';
import { asProblem, type Check } from './check';
import type { Place } from './place';
import { ok, problem, warning, type Finding } from './report';

/** Resolves as a worker or an API does that runs in this environment as this user. */
export function secretsOf({ configuration, env }: Place): Secrets {
  return createSecrets({ folder: configuration.secretsFolder, environment: { ...env, ...takeSecretVariables() } });
}

export function secretChecks(place: Place): Check[] {
  const references = configuredReferences(place);
  return [
    {
      id: 'secrets.folder',
      title: 'the folder of secrets',
      look: () => lookAtFolder(place.configuration.secretsFolder, references.size),
    },
    ...[...references].map(([reference, users]) => ({
      id: `secrets.${reference}`,
      title: `${reference}, ${users.join(', ')}`,
      look: () => lookAtReference(place, parseSecretRef(reference)!),
    })),
    { id: 'secrets.servers', title: "keys of servers' volumes", look: () => lookAtServers(place) },
  ];
}

/** Reference -> what it is for; of the sites that this machine's worker works at, and of the notifications that its API sends. */
function configuredReferences({ configuration }: Place): Map<string, string[]> {
  const { sites, worker, api, notifications } = configuration;
  const found = new Map<string, string[]>();
  const add = (reference: string, use: string): void =>
    void found.set(reference, [...(found.get(reference) ?? []), use]);
  for (const { id, machines } of sites) {
    if (!worker.sites.includes(id)) continue;
    for (const { name, power } of machines) {
      if ('redfish' in power) add(power.redfish.password, `the password of ${name}'s controller`);
    }
  }
  if (!api.enabled) return found;
  const { mail, webhooks } = notifications;
  if (mail?.password != null) add(describeSecretRef(mail.password), 'the password of the mail server');
  for (const { name, secret } of webhooks) add(describeSecretRef(secret), `the secret of webhook ${name}`);
  return found;
}

async function lookAtFolder(path: string, references: number): Promise<Finding> {
  const needed = 'a folder of mode 0700';
  const make = `Make it: install -d -m 0700 ${path}, as the user that Muster runs as; or name another one (MUSTER_SECRETS_FOLDER).`;
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => ({ failed: error.code ?? error.message }));
  if ('failed' in found) {
    const nothing = found.failed === 'ENOENT';
    if (nothing && references === 0) return ok(`${path}, not there yet; nothing of the configuration needs it`, needed);
    return problem(nothing ? `${path} is not there` : `${path}: ${found.failed}`, needed, make);
  }
  if (!found.isDirectory()) return problem(`${path} is no folder`, needed, make);
  const mode = found.mode & 0o777;
  const whose = `${path}, mode ${mode.toString(8).padStart(4, '0')}`;
  if ((mode & 0o077) === 0) return ok(whose, needed);
  const mend = `Run: chmod 0700 ${path}.`;
  if ((mode & 0o022) === 0) return warning(`${whose}: others can see the names in it`, needed, mend);
  return problem(`${whose}: others can exchange what is in it`, needed, `${mend} Then look whether it is yours still.`);
}

async function lookAtReference(place: Place, ref: SecretRef): Promise<Finding> {
  const needed = 'a secret that Muster can read and others cannot';
  const failure = await failureOf(place, ref);
  if (failure === undefined) return ok('there', needed);
  return { ...failure, needed: failure.needed || needed };
}

/** undefined: it can be had. The value itself is dropped at once. */
async function failureOf(place: Place, ref: SecretRef): Promise<Finding | undefined> {
  try {
    (await secretsOf(place)(ref)).fill(0);
    return undefined;
  } catch (error) {
    const finding = asProblem(error);
    const remedy = finding.remedy.replace(/,? then decide "retry"\.$/, '.');
    if (ref.from === 'environment') {
      const elsewhere =
        'Or look in the environment of the worker or the API itself: this is only the one of this command.';
      return { ...finding, state: 'warning', remedy: `${remedy} ${elsewhere}` };
    }
    const owner = await ownerOf(place.configuration.secretsFolder);
    if (owner === undefined || owner === userInfo().uid) return { ...finding, remedy };
    const asOwner = `Ask again as the user with id ${owner}, whose folder it is: as whom Muster runs here.`;
    return { ...finding, state: 'warning', remedy: asOwner };
  }
}

const ownerOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ uid }) => uid,
    () => undefined,
  );

/** undefined while Postgres cannot be asked, which another check says. */
async function lookAtServers(place: Place): Promise<Finding | undefined> {
  const servers = await serversOf(place);
  if (servers === undefined) return undefined;
  const mine = servers.filter(({ recoverySiteId }) => place.configuration.worker.sites.includes(recoverySiteId));
  const keys = mine.flatMap(({ name, unlockKeys = [] }) => unlockKeys.map((ref) => ({ name, ref })));
  const failures = await Promise.all(
    keys.map(async ({ name, ref }) => {
      const finding = await failureOf(place, ref);
      return finding === undefined
        ? []
        : [{ finding, words: `${describeSecretRef(ref)} of ${name}: ${finding.found}` }];
    }),
  );
  const bad = failures.flat();
  const needed = 'every reference leads to a secret';
  if (bad.length === 0) return ok(`${keys.length} ${keys.length === 1 ? 'reference' : 'references'}`, needed);
  const worst = bad.find(({ finding }) => finding.state === 'problem') ?? bad[0]!;
  return { ...worst.finding, found: bad.map(({ words }) => words).join('; '), needed };
}

async function serversOf({ configuration }: Place): Promise<ServerSpec[] | undefined> {
  const { tenantId, coreId } = configuration;
  try {
    const store = openStore(readPostgresUrl(configuration), { tenantId, coreId, connectTimeoutMs: 3_000 });
    try {
      return await store.servers.list();
    } finally {
      await store.close();
    }
  } catch {
    return undefined;
  }
}
