/** What stands compressed in a history, as bytes that can be searched: read with zlib alone, not with Muster's own codec. */
import { gunzipSync } from 'node:zlib';

export function compressedIn(value: unknown): Buffer[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const { metadata, data } = value as { metadata?: Record<string, Uint8Array>; data?: Uint8Array };
  const encoding = metadata?.['encoding'];
  if (data instanceof Uint8Array && encoding instanceof Uint8Array) {
    return Buffer.from(encoding).toString() === 'binary/gzip' ? [gunzipSync(data)] : [];
  }
  return Object.values(value).flatMap(compressedIn);
}
