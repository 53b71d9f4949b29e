/** What a worker says of itself in a file of the data folder, so that `up` and `doctor` know whether it polls. */
import { readFile } from 'node:fs/promises';
import { writePrivately } from './data-folder';

export interface WorkerStatus {
  readonly pid: number;
  readonly state: 'starting' | 'polling' | 'stopping';
  readonly queues: readonly string[];
  /** When this was written; a polling worker writes it again every `statusEveryMs`. UTC, ISO 8601. */
  readonly at: string;
}

export const statusEveryMs = 5_000;

export async function readWorkerStatus(file: string): Promise<WorkerStatus | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as WorkerStatus;
  } catch {
    return undefined;
  }
}

export async function writeWorkerStatus(file: string, status: WorkerStatus): Promise<void> {
  await writePrivately(file, `${JSON.stringify(status)}\n`);
}
