/** Identity (design: law 11): UUIDv7 for runs, and what is derived from a run so that doing it twice meets the first. */
import { PermanentError } from './errors';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-([1-8])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** True for a lower-case UUID of version 1 to 8 in RFC 9562 form. */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

export function isUuidV7(text: string): boolean {
  return uuid.exec(text)?.[1] === '7';
}

/** @throws PermanentError naming the field when it is not a lower-case UUIDv7. */
export function requireUuidV7(field: string, text: string): string {
  if (isUuidV7(text)) return text;
  throw new PermanentError({
    what: `${field} is not an id`,
    found: JSON.stringify(text.slice(0, 64)),
    needed: 'a UUID of version 7 in lower case',
  });
}

/** When a UUIDv7 was made, in milliseconds since 1970. */
export function timeOfUuidV7(id: string): number {
  return Number.parseInt(requireUuidV7('id', id).replaceAll('-', '').slice(0, 12), 16);
}

/**
 * The identity of the machine that a run creates: the run's id as a UUID of version 8 (RFC 9562, 5.8: its bits are the
 * maker's to define). Only the version digit differs, so that two runs never share one, a repeated create meets the
 * first machine, and an engineer reads the run from the hypervisor's own list.
 *
 * @throws PermanentError when `runId` is not a UUIDv7.
 */
export function machineUuidOf(runId: string): string {
  const id = requireUuidV7('runId', runId);
  return `${id.slice(0, 14)}8${id.slice(15)}`;
}

/** The run id of a machine's UUID, or undefined where Muster did not make it. */
export function runIdOfMachine(machineUuid: string): string | undefined {
  return uuid.exec(machineUuid)?.[1] === '8' ? `${machineUuid.slice(0, 14)}7${machineUuid.slice(15)}` : undefined;
}

/** Eight characters for names and narrow columns, from the random end: the first ones are the time and shared by neighbours. */
export function shortId(id: string): string {
  return id.slice(-8);
}

export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
