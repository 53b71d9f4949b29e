/**
 * Whose a physical machine is now: one file for each claim, written durably before anything is done to the machine, so
 * that it outlives any crash. The claim also says what the run did to it: disks, power by a person's word, console.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import type { DiskId } from '../../model/server';
import type { MachineRef, Owner } from '../contract';
import { withFileLock } from '../file-lock';
import { readJson, removeJson, writeJson } from '../json-file';
import { sameOwner } from '../owners';

export interface Claim {
  readonly format: 1;
  readonly machine: string;
  readonly owner: Owner;
  readonly uuid: string;
  readonly claimedAt: string;
  /** Disks of the run that stand on the machine's own ones; `path` is where the bytes came from. */
  readonly disks: readonly { readonly diskId: DiskId; readonly index: number; readonly path: string }[];
  /** For machines that only a person can switch: what the last word of one was. */
  readonly power: 'on' | 'off';
  readonly poweredOnAt: string | null;
  /** Length of the console's file at power-on: what stands before it is of another boot. */
  readonly consoleOffset: number;
}

export interface Claims {
  read(machine: string): Promise<Claim | undefined>;
  /** All that there are, also of machines that are no longer configured. */
  all(): Promise<Claim[]>;
  write(claim: Claim): Promise<void>;
  remove(machine: string): Promise<void>;
  /** What changes one machine takes turns, in all processes of this host. */
  locked<T>(machine: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function openClaims(folder: string): Claims {
  const claims = join(folder, 'claims');
  const fileOf = (machine: string): string => join(claims, `${machine}.json`);
  return {
    read: (machine) => readJson<Claim>(fileOf(machine)),
    all: async () => {
      const names = await readdir(claims).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      });
      const found = await Promise.all(
        names.filter((name) => name.endsWith('.json')).map((name) => readJson<Claim>(join(claims, name))),
      );
      return found.filter((claim) => claim !== undefined);
    },
    write: (claim) => writeJson(fileOf(claim.machine), claim, { durable: true }),
    remove: (machine) => removeJson(fileOf(machine)),
    locked: (machine, work, signal) => withFileLock(`physical ${folder} ${machine}`, work, signal),
  };
}

export function isOwn(claim: Claim, ref: Pick<MachineRef, 'owner'>): boolean {
  return sameOwner(claim.owner, ref.owner);
}

/** The run's own claim. @throws OperatorError when the machine is free, or another run's. */
export async function requireClaim(claims: Claims, ref: MachineRef): Promise<Claim> {
  const claim = await claims.read(ref.name);
  if (claim !== undefined && isOwn(claim, ref)) return claim;
  throw claim === undefined ? notClaimed(ref.name) : taken(claim);
}

function notClaimed(machine: string): OperatorError {
  return new OperatorError({
    what: `the machine ${machine} is not claimed by this run`,
    found: 'no claim on it',
    needed: 'the claim that create-machine makes',
    remedy: 'Somebody gave it up: `muster retry RUN --from create-machine --reason …`.',
  });
}

export function taken(claim: Claim): OperatorError {
  return new OperatorError({
    what: `the machine ${claim.machine} is taken`,
    found: `claimed by run ${claim.owner.runId} on ${claim.claimedAt}`,
    needed: 'a machine that no run has claimed',
    remedy: `Choose another machine (provide machineName). If what runs on it is no longer needed: switch it off, \`muster machines release ${claim.machine} --reason …\`, then retry.`,
  });
}
