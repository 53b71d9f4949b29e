/**
 * Where a replica lies:
 *
 *   <folder>/<serverId>/
 *     server.json                     the server as it was when it was protected, for views
 *     points/<sequence>-<pointId>.json   one manifest per complete point; the truth
 *     layers/<sequence>-<diskId>.qcow2   base and increments; a layer's header names the one beneath it
 *     hold.json  merge.json  commit.json   durable markers: held by a run; a merge under way; given away for good
 *     given/<runId>.json              commit.json of earlier recoveries: layers that are disks of the machines that they made
 *     runs/<runId>/                   run.json and <diskId>.qcow2, the overlays of a run
 *     prepared/<hardwareId>.json      inoculations worked out ahead, and folders with their files
 *     preparing/<id>/                 overlays on which one is being worked out
 *     target/pid                      the target server's pid file
 *   <runtime folder>/<hash>/{qmp,nbd}.sock   its sockets, elsewhere because a socket's path may have 107 bytes at most
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError, PermanentError } from '../model/errors';

export interface ReplicaPlace {
  readonly serverId: string;
  readonly folder: string;
  readonly server: string;
  readonly points: string;
  readonly layers: string;
  readonly runs: string;
  readonly hold: string;
  readonly merge: string;
  readonly commit: string;
  readonly given: string;
  readonly prepared: string;
  readonly preparing: string;
  readonly pidFile: string;
  readonly socketFolder: string;
  readonly qmpSocket: string;
  readonly nbdSocket: string;
}

/** sun_path has 108 bytes with its closing NUL (unix(7)). */
const longestSocketPath = 107;
/** Others may pass through (the hypervisor's user opens overlays and layers) but not list. */
const folderMode = 0o711;

export function placeOf(folder: string, runtimeFolder: string, serverId: string): ReplicaPlace {
  const own = join(folder, safeName(serverId, 'server id'));
  const socketFolder = join(runtimeFolder, createHash('sha256').update(own).digest('hex').slice(0, 16));
  const qmpSocket = join(socketFolder, 'qmp.sock');
  if (Buffer.byteLength(qmpSocket) > longestSocketPath) {
    throw new OperatorError({
      what: `the target server's socket cannot be at ${qmpSocket}`,
      found: `${Buffer.byteLength(qmpSocket)} bytes`,
      needed: `at most ${longestSocketPath} bytes`,
      remedy: 'Configure a shorter runtime folder.',
    });
  }
  return {
    serverId,
    folder: own,
    server: join(own, 'server.json'),
    points: join(own, 'points'),
    layers: join(own, 'layers'),
    runs: join(own, 'runs'),
    hold: join(own, 'hold.json'),
    merge: join(own, 'merge.json'),
    commit: join(own, 'commit.json'),
    given: join(own, 'given'),
    prepared: join(own, 'prepared'),
    preparing: join(own, 'preparing'),
    pidFile: join(own, 'target', 'pid'),
    socketFolder,
    qmpSocket,
    nbdSocket: join(socketFolder, 'nbd.sock'),
  };
}

/** A layer's file, from its name in a manifest. */
export const layerPath = (place: ReplicaPlace, file: string): string => join(place.folder, file);

export const isSafeName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name);

/** A name that is one file name and nothing else. @throws PermanentError for any other. */
export function safeName(name: string, what: string): string {
  if (isSafeName(name)) return name;
  throw new PermanentError({
    what: `a ${what} that cannot be a file name`,
    found: JSON.stringify(name),
    needed: 'letters, digits, dot, dash and underscore, at most 100',
  });
}

/** Creates the replica's folders. @throws OperatorError when the hypervisor's user could not reach them. */
export async function createFolders(place: ReplicaPlace): Promise<void> {
  for (const folder of [place.folder, place.points, place.layers, place.runs, dirname(place.pidFile)]) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, folderMode);
  }
  await openSocketFolder(place);
  for (let folder = dirname(place.folder); folder !== dirname(folder); folder = dirname(folder)) {
    const { mode } = await stat(folder);
    if ((mode & 0o001) !== 0) continue;
    throw new OperatorError({
      what: `the hypervisor cannot reach the replicas: ${folder} is closed to other users`,
      found: `mode ${(mode & 0o777).toString(8)}`,
      needed: 'the right to pass through (o+x)',
      remedy: `Run \`chmod o+x ${folder}\`, or keep replicas in another folder.`,
    });
  }
}

/**
 * Makes the folder of the target server's sockets. Whoever could put a socket of their own there would be taken for the
 * target server.
 *
 * @throws OperatorError when it, or one of the two folders above it, is another user's or can be written by others
 */
export async function openSocketFolder({ socketFolder }: ReplicaPlace): Promise<void> {
  await mkdir(socketFolder, { recursive: true, mode: 0o700 });
  const runtime = dirname(socketFolder);
  for (const folder of [socketFolder, runtime, dirname(runtime)]) {
    // What others gave as the place of runtime folders may be a link; what Muster makes in it is none.
    const { mode, uid } = folder === dirname(runtime) ? await stat(folder) : await lstat(folder);
    const isOwn = uid === 0 || uid === process.getuid?.();
    // In a folder with the sticky bit, as /tmp has it, nobody can move what is another's.
    const isClosed = (mode & 0o022) === 0 || (mode & 0o1000) !== 0;
    if ((mode & constants.S_IFMT) === constants.S_IFDIR && isOwn && isClosed) continue;
    throw new OperatorError({
      what: `the target server's sockets cannot be in ${socketFolder}`,
      found: `${folder} with mode ${(mode & 0o7777).toString(8).padStart(4, '0')} of user ${uid}`,
      needed: "a folder of the worker's own user that nobody else can write",
      remedy: `Look who made ${folder} and remove it, or set XDG_RUNTIME_DIR for the worker; then retry.`,
    });
  }
}
