/**
 * Reading a hive of a mounted guest with hivex inside the appliance: hostile bytes are parsed there, never in this
 * process. One hive at a time.
 */
import type { Guestfish } from '../guestfish';
import { showKey, type KeyPath, type RegistryValue } from './registry-values';

/** More values or keys in one place are not looked at; real hives have a few hundred under MountedDevices. */
const maxListed = 4_096;

export interface Hive {
  has(key: KeyPath): Promise<boolean>;
  /** Null where the key or the value does not exist; the name `''` is the key's default value. */
  value(key: KeyPath, name: string): Promise<RegistryValue | null>;
  /** All values of a key by name; empty where there is no such key. */
  values(key: KeyPath): Promise<ReadonlyMap<string, RegistryValue>>;
  close(): Promise<void>;
}

/** @returns what hivex said where it does not take the file for a hive. */
export async function openHive(guest: Guestfish, path: string): Promise<Hive | { readonly error: string }> {
  const { error } = await guest.attempt('hivex-open', [path]);
  if (error !== null) return { error };
  const nodes = new Map<string, string>([['', (await guest.ask('hivex-root')).trim()]]);

  const nodeOf = async (key: KeyPath): Promise<string | null> => {
    const known = nodes.get(showKey(key).toLowerCase());
    if (known !== undefined) return known === '0' ? null : known;
    const parent = await nodeOf(key.slice(0, -1));
    const name = key.at(-1)!;
    const node = parent === null ? '0' : (await guest.ask('hivex-node-get-child', [parent, name])).trim();
    nodes.set(showKey(key).toLowerCase(), node);
    return node === '0' ? null : node;
  };

  const read = async (handle: string): Promise<RegistryValue> => ({
    type: Number((await guest.ask('hivex-value-type', [handle])).trim()),
    bytes: await guest.bytes('hivex-value-value', [handle]),
  });

  return {
    has: async (key) => (await nodeOf(key)) !== null,
    async value(key, name) {
      const node = await nodeOf(key);
      if (node === null) return null;
      const handle = (await guest.ask('hivex-node-get-value', [node, name])).trim();
      return handle === '0' ? null : read(handle);
    },
    async values(key) {
      const node = await nodeOf(key);
      const found = new Map<string, RegistryValue>();
      if (node === null) return found;
      const handles = [...(await guest.ask('hivex-node-values', [node])).matchAll(/hivex_value_h: (\d+)/g)];
      for (const [, handle] of handles.slice(0, maxListed)) {
        const name = (await guest.ask('hivex-value-key', [handle!])).replace(/\n$/, '');
        found.set(name, await read(handle!));
      }
      return found;
    },
    close: async () => void (await guest.ask('hivex-close')),
  };
}
