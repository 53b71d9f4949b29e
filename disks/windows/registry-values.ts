/**
 * Values of the Windows registry as bytes, and edits to it as the text that hivexregedit merges.
 *
 * Types and their encoding: "Registry value types" of the Windows API. Every value but a DWORD is written as
 * `hex(type):…`, so that no character of a name or path has to survive an encoding.
 */
import { isDeepStrictEqual } from 'node:util';

/** REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_MULTI_SZ. */
export const valueTypes = { text: 1, expandable: 2, binary: 3, number: 4, texts: 7 } as const;

export interface RegistryValue {
  /** The number of the type in the hive; not always one of `valueTypes`. */
  readonly type: number;
  readonly bytes: Buffer;
}

/** From the hive's root, as in `['Select']`. Names are compared without regard to case. */
export type KeyPath = readonly string[];

export type RegistryEdit =
  | { readonly kind: 'set'; readonly key: KeyPath; readonly name: string; readonly value: RegistryValue }
  | { readonly kind: 'delete-value'; readonly key: KeyPath; readonly name: string }
  | { readonly kind: 'delete-key'; readonly key: KeyPath };

const utf16 = (text: string) => Buffer.from(`${text}\0`, 'utf16le');

export const textValue = (text: string): RegistryValue => ({ type: valueTypes.text, bytes: utf16(text) });
export const expandableValue = (text: string): RegistryValue => ({ type: valueTypes.expandable, bytes: utf16(text) });
export const binaryValue = (bytes: Buffer): RegistryValue => ({ type: valueTypes.binary, bytes });
export const textsValue = (texts: readonly string[]): RegistryValue => ({
  type: valueTypes.texts,
  bytes: Buffer.concat([...texts.map(utf16), utf16('')]),
});

export function numberValue(number: number): RegistryValue {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return { type: valueTypes.number, bytes };
}

/** A text as its first NUL ends it; null where the value is no text. */
export function asText(value: RegistryValue | null): string | null {
  if (value === null || (value.type !== valueTypes.text && value.type !== valueTypes.expandable)) return null;
  return value.bytes.toString('utf16le').split('\0')[0]!;
}

/** Null where the value is no DWORD. */
export function asNumber(value: RegistryValue | null): number | null {
  return value === null || value.type !== valueTypes.number || value.bytes.length !== 4
    ? null
    : value.bytes.readUInt32LE(0);
}

export const sameValue = (a: RegistryValue | null, b: RegistryValue): boolean => isDeepStrictEqual(a, b);

/** As people write it: `ControlSet001\Services\viostor`. */
export const showKey = (key: KeyPath): string => key.join('\\');

/** One line for the record. Numbers and texts are shown, bytes are not. */
export function describeEdit(edit: RegistryEdit): string {
  if (edit.kind === 'delete-key') return `${showKey(edit.key)}: removed`;
  if (edit.kind === 'delete-value') return `${showKey(edit.key)}: ${edit.name} removed`;
  const shown = asText(edit.value) ?? asNumber(edit.value) ?? `${edit.value.bytes.length} bytes`;
  return `${showKey(edit.key)}: ${edit.name === '' ? '(default)' : edit.name} = ${shown}`;
}

/**
 * The edits as a text for `hivexregedit --merge`. `exists` tells which keys are there: hivexregedit creates a key only
 * where its parent exists, so missing ones are named first.
 */
export function regeditText(edits: readonly RegistryEdit[], exists: (key: KeyPath) => boolean): string {
  const blocks: string[] = ['Windows Registry Editor Version 5.00', ''];
  const made = new Set<string>();
  for (const edit of edits) {
    if (edit.kind === 'delete-key') {
      blocks.push(`[-\\${showKey(edit.key)}]`, '');
      continue;
    }
    for (let depth = 1; depth < edit.key.length; depth += 1) {
      const parent = edit.key.slice(0, depth);
      if (made.has(showKey(parent).toLowerCase()) || exists(parent)) continue;
      made.add(showKey(parent).toLowerCase());
      blocks.push(`[\\${showKey(parent)}]`, '');
    }
    const name = edit.name === '' ? '@' : `"${edit.name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
    blocks.push(`[\\${showKey(edit.key)}]`, `${name}=${edit.kind === 'set' ? encode(edit.value) : '-'}`, '');
  }
  return blocks.join('\n');
}

function encode({ type, bytes }: RegistryValue): string {
  if (type === valueTypes.number && bytes.length === 4) {
    return `dword:${bytes.readUInt32LE(0).toString(16).padStart(8, '0')}`;
  }
  return `hex(${type.toString(16)}):${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(',')}`;
}
