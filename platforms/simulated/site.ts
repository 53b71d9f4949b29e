/**
 * The folder of a simulated site, its settings, and what every call goes through first.
 *
 *   settings.json            how the site behaves; may be changed while processes use it
 *   offline                  exists: nobody can reach the site. Content `hang` (calls wait) or `fail` (refused at once)
 *   stubborn-target-server   exists: the target server keeps a disk's lock after handing it over, until it is restarted
 *   effects.log              one JSON line for each effect that changed something
 *   machines/<name>.json     one file for each machine, so that no work grows with the number of servers
 *   networks/<name>.json     one file for each network that a run made
 *   uuids/<uuid>             name of the machine that has it
 *   disks/                   disks of machines that were seeded here
 *   replicas/<server id>/    what the recovery site keeps of a server
 *   recovered/<run id>/      base files that belong to recovered machines
 */
import { createHash } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../../model/errors';
import type { SiteId } from '../../model/server';
import type { ReplicationSource } from '../../replication/contract';
import type { CallOptions } from '../contract';
import { readJson, writeJson } from '../json-file';

export interface SiteSettings {
  readonly networks: readonly { readonly name: string; readonly isolated: boolean }[];
  /** How long a task of the platform takes from its start. */
  readonly taskMs: number;
  /** From power-on until the guest's agent answers. */
  readonly guestBootMs: number;
  /** From the request to shut down until the guest is off. */
  readonly guestShutdownMs: number;
  /** The service's counter rises by one in this time. */
  readonly tickMs: number;
  /** How long inoculation takes. */
  readonly inoculateMs: number;
  /** How long a copy of a server's disks takes. */
  readonly copyMs: number;
  /** Bytes that disks and replicas may take; null: what the file system has. */
  readonly capacityBytes: number | null;
  readonly memoryFreeBytes: number;
  /** What further programs in guests print, by their whole command line: `/usr/bin/app status`. */
  readonly guestPrints: Readonly<Record<string, string>>;
}

export const defaultSettings: SiteSettings = {
  networks: [
    { name: 'lan', isolated: false },
    { name: 'isolated', isolated: true },
  ],
  taskMs: 0,
  guestBootMs: 0,
  guestShutdownMs: 0,
  tickMs: 50,
  inoculateMs: 0,
  copyMs: 0,
  capacityBytes: null,
  memoryFreeBytes: 256 * 1024 ** 3,
  guestPrints: {},
};

export interface Site {
  readonly folder: string;
  readonly id: SiteId;
  /** The other sites' sides, by site id; a site is always its own source. */
  readonly sources: Readonly<Record<SiteId, ReplicationSource>>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function siteAt(options: {
  folder: string;
  id: SiteId;
  sources?: Readonly<Record<SiteId, ReplicationSource>>;
  now?: () => number;
}): Site {
  return {
    folder: resolve(options.folder),
    id: options.id,
    sources: options.sources ?? {},
    now: options.now ?? Date.now,
  };
}

export async function readSettings(site: Pick<Site, 'folder'>): Promise<SiteSettings> {
  return { ...defaultSettings, ...(await readJson<Partial<SiteSettings>>(settingsFile(site.folder))) };
}

/** Changes some settings of the site in `folder`; processes that use it see them at their next call. */
export async function changeSettings(folder: string, change: Partial<SiteSettings>): Promise<void> {
  const before = await readJson<Partial<SiteSettings>>(settingsFile(folder));
  await writeJson(settingsFile(folder), { ...before, ...change });
}

/** The name under which locks of this site are known to every process. */
export function lockName(site: Site, what: string): string {
  return `${site.folder}\n${what}`;
}

/** A file name for any text: as readable as can be, never longer than a file system takes. */
export function fileNameFor(text: string): string {
  const encoded = encodeURIComponent(text).replaceAll('.', '%2E').replaceAll('*', '%2A');
  if (encoded.length <= 200) return encoded;
  return `${encoded.slice(0, 130)}~${createHash('sha256').update(text).digest('hex')}`;
}

const offlinePollMs = 20;
/** What a client of a site that does not answer waits when nobody gave it a deadline. */
const longestHangMs = 60_000;

/** Every call starts here: it fails, or hangs until the signal fires, while the site's `offline` file exists. */
export async function reach(site: Site, options: CallOptions = {}): Promise<void> {
  options.signal?.throwIfAborted();
  const since = site.now();
  for (;;) {
    const offline = await readFile(join(site.folder, 'offline'), 'utf8').catch(() => undefined);
    if (offline === undefined) return;
    if (offline.trim() === 'fail' || site.now() - since > longestHangMs) throw unreachable(site);
    await pause(offlinePollMs, options.signal);
  }
}

function unreachable(site: Site): TransientError {
  return new TransientError({
    what: `site ${site.id} does not answer`,
    found: 'no connection',
    remedy: 'It is tried again by itself; when the site is lost, go on without it.',
  });
}

/** Waits; rejects with the signal's reason as soon as it fires. */
export async function pause(durationMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  if (durationMs <= 0) return;
  await sleep(durationMs, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function settingsFile(folder: string): string {
  return join(folder, 'settings.json');
}
