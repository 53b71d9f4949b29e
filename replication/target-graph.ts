/**
 * What the target server has open: nodes (one per file, named after its inode, because a merge renames files under it),
 * exports, and the merge job. Every function looks first and acts only where something is missing.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError } from '../model/errors';
import type { Qmp } from './qmp';

export interface JobInfo {
  readonly id: string;
  readonly status: string;
  readonly 'current-progress': number;
  readonly 'total-progress': number;
  readonly error?: string;
}

const pollMs = 20;
const settleTimeoutMs = 10_000;

/** The node that has that file open, or will have. */
export async function nodeName(path: string): Promise<string> {
  const { ino } = await stat(path, { bigint: true });
  return `n${ino}`;
}

export async function openNodes(qmp: Qmp): Promise<string[]> {
  const nodes = await qmp.execute<{ 'node-name': string }[]>('query-named-block-nodes', { flat: true });
  return nodes.map((node) => node['node-name']);
}

/** Opens the chain, lowest file first, each read-only on the one before it; returns the node of the last. */
export async function openChain(qmp: Qmp, files: readonly string[]): Promise<string> {
  return (await openChains(qmp, [files]))[0]!;
}

/**
 * Several chains, which may share files; returns the node of the last file of each.
 *
 * What is open is asked once: the answer names the whole chain beneath every node, and takes the target server 0.3 s for a
 * chain of a hundred (measured).
 */
export async function openChains(qmp: Qmp, chains: readonly (readonly string[])[]): Promise<string[]> {
  const open = new Set(await openNodes(qmp));
  const nodes = new Map<string, string>();
  const tops: string[] = [];
  for (const files of chains) {
    let below: string | null = null;
    for (const file of files) {
      const node: string = nodes.get(file) ?? (await nodeName(file));
      nodes.set(file, node);
      if (!open.has(node)) await addNode(qmp, { node, file, backing: below, readOnly: true });
      open.add(node);
      below = node;
    }
    tops.push(below!);
  }
  return tops;
}

export async function addNode(qmp: Qmp, { node, file, backing, readOnly, tables, flush }: NodeToAdd): Promise<void> {
  await qmp.execute('blockdev-add', {
    driver: 'qcow2',
    'node-name': node,
    'read-only': readOnly,
    discard: 'unmap',
    backing,
    // No read-only of its own: the file follows its image, which a merge has to reopen for writing.
    file: { driver: 'file', filename: file },
    ...tables,
    ...(flush === false ? { cache: { 'no-flush': true } } : {}),
  });
}

interface NodeToAdd {
  readonly node: string;
  readonly file: string;
  readonly backing: string | null;
  readonly readOnly: boolean;
  /** QEMU's options for what it holds of the image's tables in memory. */
  readonly tables?: Readonly<Record<string, number>>;
  /** false: nothing waits for the storage. Whoever needs the file after a crash of the host has to sync it. */
  readonly flush?: boolean;
}

/** Closes the nodes of which nobody stands any more; order: highest first. Not open: already so. */
export async function closeNodes(qmp: Qmp, nodes: readonly string[]): Promise<void> {
  const open = new Set(await openNodes(qmp));
  for (const node of nodes) if (open.has(node)) await qmp.execute('blockdev-del', { 'node-name': node });
}

export async function exportNode(qmp: Qmp, id: string, node: string): Promise<void> {
  if ((await exportIds(qmp)).includes(id)) return;
  await qmp.execute('block-export-add', { type: 'nbd', id, 'node-name': node, name: id, writable: true });
}

/** Ends the export, also under a client that is still connected. Not exported: already so. */
export async function endExport(qmp: Qmp, id: string): Promise<void> {
  if (!(await exportIds(qmp)).includes(id)) return;
  await qmp.execute('block-export-del', { id, mode: 'hard' });
  for (let waited = 0; waited < settleTimeoutMs; waited += pollMs) {
    if (!(await exportIds(qmp)).includes(id)) return;
    await sleep(pollMs);
  }
  throw new TransientError({
    what: `the target server does not end the export ${id}`,
    found: `still there after ${settleTimeoutMs / 1000} s`,
    needed: 'no client writing to it',
  });
}

export async function exportIds(qmp: Qmp): Promise<string[]> {
  return (await qmp.execute<{ id: string }[]>('query-block-exports')).map((entry) => entry.id);
}

export async function jobs(qmp: Qmp): Promise<JobInfo[]> {
  return qmp.execute<JobInfo[]>('query-jobs');
}

/** Stops whatever job runs; the images stay valid: a merge that was cut short is begun anew. */
export async function cancelJobs(qmp: Qmp): Promise<void> {
  for (const job of await jobs(qmp)) {
    if (job.status !== 'concluded') await qmp.execute('job-cancel', { id: job.id });
    await finishJob(qmp, job.id).catch((error: unknown) => {
      if (!(error instanceof TransientError)) throw error;
    });
  }
}

/**
 * Waits for the job's end and dismisses it.
 * @throws TransientError when the job failed; the signal's reason when it was aborted (the job is then cancelled).
 */
export async function finishJob(
  qmp: Qmp,
  id: string,
  options: { signal?: AbortSignal | undefined; onProgress?: (done: number, total: number) => void } = {},
): Promise<void> {
  for (;;) {
    const job = (await jobs(qmp)).find((entry) => entry.id === id);
    if (job === undefined) return;
    if (job.status === 'concluded') {
      await qmp.execute('job-dismiss', { id });
      options.signal?.throwIfAborted();
      if (job.error === undefined) return;
      throw new TransientError({ what: `the target server could not finish ${id}`, found: job.error });
    }
    if (options.signal?.aborted === true && job.status === 'running') await qmp.execute('job-cancel', { id });
    options.onProgress?.(job['current-progress'], job['total-progress']);
    await sleep(pollMs);
  }
}
