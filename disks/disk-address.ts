/** How the programs that edit a disk address it. */
import { PermanentError } from '../model/errors';
import type { TakenDisk } from '../model/replica';
import type { ImageRef } from './signatures';

type Addressed = Pick<TakenDisk, 'diskId' | 'editUri' | 'format'>;

/** For qemu's tools. What an NBD export shows is raw, whatever the file behind it is. */
export function imageOf(disk: Addressed): ImageRef {
  return { uri: disk.editUri, format: disk.editUri.startsWith('nbd+unix:') ? 'raw' : disk.format };
}

/** Arguments of guestfish's `add-drive`. @throws PermanentError on an address that is neither a file nor NBD over a UNIX socket. */
export function driveArguments(disk: Addressed): string[] {
  const file = /^file:(?:\/\/)?(\/.+)$/.exec(disk.editUri);
  if (file !== null) return [file[1]!, `format:${disk.format}`];
  const url = disk.editUri.startsWith('nbd+unix:') ? new URL(disk.editUri) : null;
  const socket = url?.searchParams.get('socket');
  if (url === null || socket == null) {
    throw new PermanentError({
      what: `the address of ${disk.diskId} cannot be edited`,
      found: disk.editUri,
      needed: 'nbd+unix:///<export>?socket=<path> or file:/<path>',
    });
  }
  const name = decodeURIComponent(url.pathname.replace(/^\/+/, ''));
  return [name, 'format:raw', 'protocol:nbd', `server:unix:${socket}`];
}
