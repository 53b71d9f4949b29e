/** A look into the running source at files that a preparation depends on: one program in the guest, with a deadline. */
import type { WatchedPath } from '../disks/contract';
import type { ServerSpec } from '../model/server';
import { inTime } from '../programs/within';
import type { ActivityDeps } from './site';
import { sourceSite } from './site';

const deadlineMs = 15_000;

export interface FoundPath {
  readonly sizeBytes: number;
  readonly modifiedSeconds: number;
  readonly isFolder: boolean;
}

/** What is there, by path; null when the source cannot be asked now: it is off, away, or has no agent. */
export async function lookAtSource(
  deps: ActivityDeps,
  server: ServerSpec,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, FoundPath> | null> {
  try {
    const { platform } = sourceSite(deps.sites, server.source.siteId);
    if (!platform.capabilities.guestAgent) return null;
    const args = ['-L', '--printf', String.raw`%f %s %Y %n\n`, '--', ...paths];
    const command = { path: '/usr/bin/stat', args, timeoutMs: deadlineMs };
    const ask = (soon: AbortSignal) => platform.runInGuest(server.source.machineName, command, { signal: soon });
    const { stdout, truncated } = await inTime({ signals: [signal], ms: deadlineMs }, ask);
    return truncated ? null : parseFound(stdout);
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/** Lines of `mode(hex) size seconds path`; null when there is none: then it was not stat that answered. */
export function parseFound(text: string): ReadonlyMap<string, FoundPath> | null {
  const found = new Map<string, FoundPath>();
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{1,8}) (\d{1,16}) (-?\d{1,12}) (\/.*)$/.exec(line);
    if (match === null) continue;
    const [, mode, size, modified, path] = match;
    const isFolder = (Number.parseInt(mode!, 16) & 0o170000) === 0o040000;
    found.set(path!, { sizeBytes: Number(size), modifiedSeconds: Number(modified), isFolder });
  }
  return found.size === 0 ? null : found;
}

/** The first path that is not as it was; null when all are. */
export function changedAtSource(watch: readonly WatchedPath[], found: ReadonlyMap<string, FoundPath>): string | null {
  const changed = watch.find(({ path, is, sizeBytes, modifiedSeconds }) => {
    const now = found.get(path);
    if (now === undefined || is === 'absent') return (now === undefined) !== (is === 'absent');
    if (now.isFolder !== (is === 'folder') || now.modifiedSeconds !== modifiedSeconds) return true;
    return is === 'file' && now.sizeBytes !== sizeBytes;
  });
  return changed?.path ?? null;
}
