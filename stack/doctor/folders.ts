/** Folders: there, ours, writable by a real write, and on one filesystem where files are renamed from one to another. */
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { placeOf } from '../../replication/place';
import { runtimeFolder } from '../../worker/sites';
import { folderFormat } from '../data-folder';
import type { Check } from './check';
import { hasLibvirt, type Place } from './place';
import { ok, problem, warning, type Finding } from './report';

export function folderChecks(place: Place): Check[] {
  const { configuration, folder } = place;
  const sites = configuration.sites.filter(({ id }) => configuration.worker.sites.includes(id));
  return [
    {
      id: 'folders.data',
      title: 'the data folder',
      look: () => lookAtFolder(folder.root, 'MUSTER_DATA_FOLDER', 0o077),
    },
    { id: 'folders.format', title: "the data folder's format", look: () => lookAtFormat(folder.root) },
    {
      id: 'folders.evidence',
      title: 'the evidence folder',
      look: () => lookAtFolder(configuration.evidenceFolder, 'MUSTER_EVIDENCE_FOLDER'),
    },
    ...secretFiles(place).map(({ id, file }) => ({
      id: `files.${id}`,
      title: `${id}: for its owner alone`,
      look: () => lookAtSecret(file),
    })),
    ...sites.flatMap(({ id, folder: siteFolder }) => [
      {
        id: `folders.site.${id}`,
        title: `the folder of site ${id}`,
        look: () => lookAtFolder(siteFolder, `sites: ${id}: folder`),
      },
      {
        id: `folders.site.${id}.filesystem`,
        title: `each replica of site ${id} on one filesystem`,
        look: () => lookForMounts(join(siteFolder, 'replicas')),
      },
    ]),
    ...(hasLibvirt(place) ? [{ id: 'folders.sockets', title: 'the folder of sockets', look: lookAtSockets }] : []),
  ];
}

/** @param openBits permission bits that should be off, beyond passing through */
async function lookAtFolder(path: string, setting: string, openBits = 0): Promise<Finding> {
  const needed = 'a folder that Muster can write';
  const found = await stat(path).catch(errorOf);
  if ('error' in found) {
    return found.error.code === 'ENOENT' ? lookAtParent(path, setting) : failed(path, setting, found.error);
  }
  if (!found.isDirectory()) {
    return problem(`${path} is no folder`, needed, `Move it away, or name another folder (${setting}).`);
  }
  const mode = found.mode & 0o777;
  const whose = `${path}, mode ${mode.toString(8)}, owner ${await nameOf(found.uid)}`;
  try {
    await writeForReal(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const others = code === 'EACCES' && found.uid !== userInfo().uid;
    const remedy = others
      ? `Ask again as ${await nameOf(found.uid)}, as whom Muster runs here; or change the owner.`
      : code === 'EROFS'
        ? 'Mount it for writing; `dmesg` says whether the kernel made it read-only after errors of the disk.'
        : `Mend its rights or its storage, or name another folder (${setting}).`;
    return (others ? warning : problem)(`${whose}; a file cannot be written: ${code ?? String(error)}`, needed, remedy);
  }
  if ((mode & openBits & 0o066) !== 0) {
    return warning(whose, 'nobody else can list or write it', `Run: chmod 0711 ${path}`);
  }
  return ok(whose, needed);
}

/** Written, synced, renamed, gone again: as every file of the record is. */
async function writeForReal(folder: string): Promise<void> {
  const draft = join(folder, `.muster-doctor-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.write('muster doctor\n');
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await rename(draft, `${draft}.renamed`);
  } finally {
    for (const left of [draft, `${draft}.renamed`]) await rm(left, { force: true });
  }
}

/** A folder that is not there yet: fine where it can be made. */
async function lookAtParent(path: string, setting: string): Promise<Finding> {
  const needed = 'a folder that is there or can be made';
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    const found = await stat(parent).catch(errorOf);
    if ('error' in found) {
      if (found.error.code === 'ENOENT' && parent !== dirname(parent)) continue;
      return failed(path, setting, found.error);
    }
    if (!found.isDirectory()) return failed(path, setting, Object.assign(new Error(), { code: 'ENOTDIR' }));
    const { uid } = userInfo();
    const mine = uid === 0 || (found.uid === uid ? (found.mode & 0o200) !== 0 : (found.mode & 0o022) !== 0);
    if (mine) return ok(`${path}, not there yet; made when it is first needed`, needed);
    const remedy = `Make it: install -d -o ${userInfo().username} ${path}; or name another folder (${setting}).`;
    return problem(`${path} is not there, and ${parent} belongs to ${await nameOf(found.uid)}`, needed, remedy);
  }
}

const errorOf = (error: NodeJS.ErrnoException): { readonly error: NodeJS.ErrnoException } => ({ error });

function failed(path: string, setting: string, error: NodeJS.ErrnoException): Finding {
  const found = error.code === 'ENOTDIR' ? `a part of ${path} is no folder` : `${path}: ${error.code ?? error.message}`;
  return problem(found, 'a folder that Muster can write', `Mend it, or name another folder (${setting}).`);
}

async function lookAtFormat(root: string): Promise<Finding> {
  const text = await readFile(join(root, 'format'), 'utf8').catch(() => undefined);
  const needed = `format ${folderFormat}`;
  if (text === undefined) return ok('not written yet', needed);
  if (Number(text.trim()) === folderFormat) return ok(`format ${text.trim()}`, needed);
  return problem(
    `format ${text.trim().slice(0, 20)} in ${join(root, 'format')}`,
    needed,
    'Start the version of Muster that wrote it, or a later one, or set MUSTER_DATA_FOLDER to another folder.',
  );
}

function secretFiles({ configuration, folder, env }: Place): { id: string; file: string }[] {
  const { url } = configuration.postgres;
  return [
    { id: 'admin-token', file: env['MUSTER_TOKEN_FILE'] || folder.tokenFile },
    ...(configuration.postgres.embedded ? [{ id: 'postgres-password', file: folder.postgresPasswordFile }] : []),
    ...('file' in url ? [{ id: 'postgres-url', file: url.file }] : []),
  ];
}

async function lookAtSecret(file: string): Promise<Finding> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return ok(`${file}, not there yet`, 'mode 600');
  const mode = (found.mode & 0o777).toString(8);
  if ((found.mode & 0o077) === 0) return ok(`${file}, mode ${mode}`, 'mode 600');
  return problem(
    `${file}, mode ${mode}: other users can read it`,
    'mode 600',
    `Run: chmod 600 ${file}. Whoever may have read it knows the secret: issue a new one.`,
  );
}

/** A mount inside a replica's folder would make renames fail half-way through a cycle. */
async function lookForMounts(replicas: string): Promise<Finding> {
  const needed = 'no mount inside a replica';
  const ids = await readdir(replicas).catch(() => []);
  for (const id of ids) {
    const own = join(replicas, id);
    const here = await stat(own).catch(() => undefined);
    for (const name of here?.isDirectory() ? await readdir(own).catch(() => []) : []) {
      const inside = await stat(join(own, name)).catch(() => undefined);
      if (inside === undefined || inside.dev === here!.dev) continue;
      return problem(
        `${join(own, name)} is on another filesystem`,
        needed,
        `Mount the whole of ${own}, or of ${replicas}.`,
      );
    }
  }
  return ok(`${ids.length} ${ids.length === 1 ? 'replica' : 'replicas'}`, needed);
}

async function lookAtSockets(): Promise<Finding> {
  const runtime = runtimeFolder();
  // Throws with its remedy when a socket's path is longer than the 107 bytes that the kernel takes.
  const { qmpSocket } = placeOf('/', runtime, '00000000-0000-7000-8000-000000000000');
  const length = Buffer.byteLength(qmpSocket);
  const finding = await lookAtFolder(runtime, 'XDG_RUNTIME_DIR');
  return {
    ...finding,
    found: `${finding.found}; paths of ${length} bytes`,
    needed: `${finding.needed}; at most 107 bytes`,
  };
}

async function nameOf(uid: number): Promise<string> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return (
    users
      .split('\n')
      .find((line) => line.split(':')[2] === String(uid))
      ?.split(':')[0] ?? String(uid)
  );
}
