/**
 * What Muster put on a physical machine's disk: a record in the site's folder, and, while the disk must not boot, a mark
 * in its first sector that names the record. Neither alone is believed.
 *
 *   writing ──copied, verified──> finishing ──boot sector, last of all──> written ──power-on──> started
 *      └───────────────────────────────┴───────────── undo ──────────────────┴──────> withdrawn
 */
import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DiskId } from '../../model/server';
import type { Owner } from '../contract';
import { readJson, writeJson } from '../json-file';

export const sectorBytes = 512;
/** Boot sector, partition table and boot loader lie in it: held back until all else is verified. */
export const headBytes = 1024 * 1024;

export const diskStates = ['writing', 'finishing', 'written', 'started', 'withdrawn'] as const;
export type DiskState = (typeof diskStates)[number];

export interface DiskRecord {
  readonly format: 1;
  /** Stands in the mark as well. */
  readonly id: string;
  readonly device: string;
  readonly serial: string | null;
  readonly machine: string;
  readonly diskId: DiskId;
  readonly owner: Owner;
  readonly state: DiskState;
  /** Since when it is in that state; UTC. */
  readonly at: string;
  /** Where the bytes came from. */
  readonly source: string;
  readonly sizeBytes: number;
  /** Of the first MiB as it was written; from `finishing` on. */
  readonly headSha256: string | null;
  /** Of the first sector alone; from `finishing` on. */
  readonly sectorSha256: string | null;
}

export const newRecordId = (): string => randomUUID();

/** One record for each disk: by serial where it says one, because names of devices change from boot to boot. */
export function recordFile(folder: string, disk: { readonly device: string; readonly serial: string | null }): string {
  const key = disk.serial === null ? `device ${disk.device}` : `serial ${disk.serial}`;
  return join(folder, 'disks', `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
}

export function readRecord(file: string): Promise<DiskRecord | undefined> {
  return readJson<DiskRecord>(file);
}

export function writeRecord(file: string, record: DiskRecord): Promise<void> {
  return writeJson(file, record, { durable: true });
}

const magic = 'MUSTER DISK WITHOUT BOOT 1';

/** The first sector of a disk that is Muster's and must not boot. No boot signature: it ends in zeros. */
export function markSector(record: Pick<DiskRecord, 'id' | 'machine' | 'owner'>): Buffer {
  const sector = Buffer.alloc(sectorBytes);
  const text = `${magic}\nrecord ${record.id}\nmachine ${record.machine}\nrun ${record.owner.runId}\n`;
  sector.write(text.slice(0, sectorBytes - 64), 0, 'utf8');
  return sector;
}

/** Id of the record that the mark names; undefined where the sector is no mark. */
export function readMark(sector: Buffer): string | undefined {
  const text = sector.subarray(0, sectorBytes - 64).toString('latin1');
  return text.startsWith(`${magic}\n`) ? /\nrecord ([0-9a-f-]{36})\n/.exec(text)?.[1] : undefined;
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
