/** What a system calls itself: os-release(5). The text is the guest's. */
import { printable } from '../guestfish-words';

export interface OsRelease {
  readonly id: string;
  readonly idLike: readonly string[];
  readonly prettyName: string;
}

/** A system without the file is taken for Debian. */
export function readOsRelease(text: string): OsRelease {
  const value = (key: string) =>
    printable(new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1]?.replace(/^["']|["']$/g, '') ?? '');
  return {
    id: value('ID') || 'debian',
    idLike: value('ID_LIKE').split(' ').filter(Boolean),
    prettyName: value('PRETTY_NAME') || 'Debian (no os-release)',
  };
}
