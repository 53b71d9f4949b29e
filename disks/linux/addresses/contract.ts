/**
 * Giving a card of a recovered Linux system another address. Each way of configuring a network is a pure function from the files
 * as they are to the files as they have to be, which finds its own work done: a second time nothing differs.
 */
import { PermanentError } from '../../../model/errors';
import type { IpSettings } from '../../../model/runbook/runbook';
import { printable } from '../../guestfish-words';

/** A card of the recovered machine with its address there. */
export interface Card extends IpSettings {
  readonly macAddress: string;
  /** What the system's configuration calls it; null where that cannot be told. */
  readonly name: string | null;
}

/** Configuration files by path. */
export type Texts = ReadonlyMap<string, string>;

/** Files as they have to be, also those that are so already. @throws PermanentError naming the file that is not understood. */
export type Rewrite = (texts: Texts, card: Card) => Map<string, string>;

export const headline = 'Written by Muster: the address of this card at the recovery site.';

/** `52-54-00-12-34-56`, for names of files. */
export const dashed = ({ macAddress }: Pick<Card, 'macAddress'>): string =>
  macAddress.toLowerCase().replaceAll(':', '-');

export const isV6 = ({ ip }: Pick<Card, 'ip'>): boolean => ip.includes(':');

export function notUnderstood(path: string, found: string): PermanentError {
  return new PermanentError({
    what: `${printable(path)} in the guest configures the network in a way that cannot be re-addressed here`,
    found: printable(found),
    needed: 'one plain configuration for each card (docs/re-addressing.md)',
    remedy: `Take the address out of the runbook and set it by a script after power-on, or change ${printable(path)} in the overlay with guestfish and skip this step.`,
  });
}

/** The file says by its hardware address that another card is meant. */
export function isForAnother(text: string, { macAddress }: Pick<Card, 'macAddress'>): boolean {
  const named = /^[ \t]*(?:PermanentMACAddress|MACAddress|mac-address)[ \t]*=(.*)$/im.exec(text)?.[1];
  return named !== undefined && !named.toLowerCase().includes(macAddress.toLowerCase());
}

/** The card's name, where a file goes by names. */
export function nameFor(path: string, { name, macAddress }: Card): string {
  if (name !== null) return name;
  throw notUnderstood(path, `it goes by names, and which of them means the card with ${macAddress} cannot be told`);
}
