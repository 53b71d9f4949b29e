/**
 * A lease says who may change a resource now. It is a lock of the kernel (programs/exclusive-file), so it ends with the worker
 * however the worker ends, plus fencing tokens beside the locked file, so that an attempt which was thought to be lost and
 * wakes up later is refused (design: law 2; measured: a second attempt began 4 s before the first one's effect ended).
 */
import { access, chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { PermanentError, TransientError } from '../model/errors';
import type { Effect } from '../model/steps';
import { takeFile } from '../programs/exclusive-file';

/**
 * Who holds; `token` orders attempts within one run. An activity that belongs to no run has no such number, and no clock
 * is one: clocks step back. It names its execution instead, and executions are ordered by who came first.
 */
export type Holder = Omit<RunHolder, 'token'> & { readonly token: number | { readonly execution: string } };
type RunHolder = Pick<Effect, 'runId' | 'step' | 'item' | 'attempt' | 'token'>;

/**
 * Runs `work` alone on `resource`.
 *
 * @throws TransientError when another holder keeps the lease for longer than `waitMs`.
 * @throws PermanentError when a later attempt of the same run held it already: this attempt is too late and must not act.
 */
export async function withLease<T>(
  folder: string,
  resource: string,
  holder: Holder,
  work: () => Promise<T>,
  options: { waitMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  await openLeaseFolder(folder);
  const file = leaseFile(folder, resource);
  const release = await lock(file, resource, options);
  try {
    await claim(file, resource, holder);
    return await work();
  } finally {
    await release();
  }
}

/**
 * For the little that has to be done before the lease can be had: refuses an attempt that a later one has overtaken.
 *
 * @throws PermanentError as withLease does.
 */
export async function assertInTime(folder: string, resource: string, holder: RunHolder): Promise<void> {
  const { runs } = await readTokens(`${leaseFile(folder, resource)}.tokens`);
  refuseLate(runs, resource, holder);
}

/** Whether somebody holds it at this moment; nobody is kept waiting by the question. */
export async function isLeaseHeld(folder: string, resource: string, signal?: AbortSignal): Promise<boolean> {
  const file = leaseFile(folder, resource);
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (!exists) return false;
  const release = await takeFile(file, { waitMs: 0, signal });
  await release?.();
  return release === undefined;
}

function leaseFile(folder: string, resource: string): string {
  return join(folder, `${createHash('sha256').update(resource).digest('hex').slice(0, 32)}.lease`);
}

/** The folder alone is private: a mode given to a recursive mkdir would also close the folders above it to QEMU. */
export async function openLeaseFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o700);
}

/** What the token file keeps: for each run the highest token seen at each place, most recent run last. */
interface Tokens {
  readonly runs: readonly RunTokens[];
}

interface RunTokens {
  readonly runId: string;
  readonly places: Readonly<Record<string, number>>;
  /** Executions in the order in which they first came, each with its token. */
  readonly executions?: Readonly<Record<string, number>>;
}

/** Attempts of runs further back than this are long over. */
const runsKept = 16;
const executionsKept = 64;

/** The locked file is never replaced (the lock is on its inode); the tokens lie beside it and are replaced atomically. */
async function claim(file: string, resource: string, claimant: Holder): Promise<void> {
  const tokenFile = `${file}.tokens`;
  const { runs } = await readTokens(tokenFile);
  const { token, executions } = tokenOf(claimant, runs);
  const holder: RunHolder = { ...claimant, token };
  const places = refuseLate(runs, resource, holder);
  const mine: RunTokens = {
    runId: holder.runId,
    places: { ...places, [placeOf(holder)]: token },
    ...(executions === undefined ? {} : { executions }),
  };
  const next: Tokens = { runs: [...runs.filter((run) => run.runId !== holder.runId).slice(1 - runsKept), mine] };
  await writeFile(`${tokenFile}.new`, JSON.stringify(next), { mode: 0o600, flush: true });
  await rename(`${tokenFile}.new`, tokenFile);
}

/** The holder's number: its own, or, for an execution, the one that it got when it first came. */
function tokenOf(
  { runId, token }: Holder,
  runs: Tokens['runs'],
): { token: number; executions?: Readonly<Record<string, number>> } {
  if (typeof token === 'number') return { token };
  const run = runs.find((one) => one.runId === runId);
  const known = run?.executions ?? {};
  const before = known[token.execution];
  if (before !== undefined) return { token: before, executions: known };
  const next = Math.max(0, ...Object.values(known), ...Object.values(run?.places ?? {})) + 1;
  const kept = Object.entries(known).slice(1 - executionsKept);
  return { token: next, executions: Object.fromEntries([...kept, [token.execution, next]]) };
}

/** The places of the holder's run. @throws PermanentError when one of them has a later token. */
function refuseLate(runs: Tokens['runs'], resource: string, holder: RunHolder): Readonly<Record<string, number>> {
  const places = runs.find((run) => run.runId === holder.runId)?.places ?? {};
  const later = Object.entries(places).find(([place, token]) => token > holder.token && !isSibling(place, holder));
  if (later !== undefined) {
    throw new PermanentError({
      what: `attempt ${holder.attempt} of ${placeOf(holder)} came too late to change ${resource}`,
      found: `token ${later[1]} of ${later[0]}`,
      needed: `no higher token than ${holder.token}`,
      remedy: 'Nothing was changed by this attempt. The later one goes on.',
    });
  }
  return places;
}

const placeOf = (holder: Pick<Holder, 'step' | 'item'>): string =>
  holder.item === null ? holder.step : `${holder.step}/${holder.item}`;

/** Items of one step run side by side: another disk's higher token says nothing about this one. */
function isSibling(place: string, holder: RunHolder): boolean {
  return holder.item !== null && place.startsWith(`${holder.step}/`) && place !== placeOf(holder);
}

async function readTokens(file: string): Promise<Tokens> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Tokens;
  } catch {
    // Absent, or torn by a crash of the machine: the lock itself is what excludes; the tokens only order.
    return { runs: [] };
  }
}

async function lock(
  file: string,
  resource: string,
  { waitMs = 20_000, signal }: { waitMs?: number; signal?: AbortSignal },
): Promise<() => Promise<void>> {
  const release = await takeFile(file, { waitMs, signal }).catch((error: Error) => {
    signal?.throwIfAborted();
    throw new TransientError({
      what: `no lease on ${resource}`,
      found: error.message,
      needed: 'a lease file that can be opened and locked',
      remedy: 'See that the folder of leases can be written and has room, and that its file system can lock.',
    });
  });
  if (release !== undefined) return release;
  throw new TransientError({
    what: `no lease on ${resource}`,
    found: `held by another attempt for ${(waitMs / 1000).toFixed(3)} s`,
    remedy: 'It is tried again; a worker that hangs on it is seen in the worker log.',
  });
}
