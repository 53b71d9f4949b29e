/**
 * How payloads travel to Temporal and back: large ones compressed, because Temporal takes 2 MB as one payload and 4 MB as one
 * message, and the order of a plan of 2,000 servers weighs more. Every client and worker uses this codec. What was written
 * before there was one is read as it is.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { METADATA_ENCODING_KEY, ValueError, type Payload, type PayloadCodec } from '@temporalio/common';

export const gzipEncoding = 'binary/gzip';
/** Below this, Temporal's own pages stay readable and little is gained. */
export const compressAboveBytes = 16 * 1024;
/** More than any payload of ours holds; a small one that swells to gigabytes is refused. */
const longestDecodedBytes = 256 * 1024 * 1024;
/** Where the encoding of what is inside stands. */
const innerEncodingKey = 'muster-encoding';

const compress = promisify<Uint8Array, { level: number }, Buffer>(gzip);
const decompress = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(gunzip);

export const payloadCodec: PayloadCodec = {
  encode: (payloads) => Promise.all(payloads.map(encodeOne)),
  decode: (payloads) => Promise.all(payloads.map(decodeOne)),
};

/** For `dataConverter` of every client and worker. */
export const dataConverter = { payloadCodecs: [payloadCodec] };

async function encodeOne(payload: Payload): Promise<Payload> {
  const { data, metadata } = payload;
  const encoding = metadata?.[METADATA_ENCODING_KEY];
  if (data == null || data.length <= compressAboveBytes || encoding == null) return payload;
  return {
    metadata: { ...metadata, [METADATA_ENCODING_KEY]: Buffer.from(gzipEncoding), [innerEncodingKey]: encoding },
    // The quickest level: a workflow task waits for it, and orders of servers are much alike.
    data: await compress(data, { level: 1 }),
  };
}

/** @throws ValueError for bytes that are not what their metadata says */
async function decodeOne(payload: Payload): Promise<Payload> {
  const { [METADATA_ENCODING_KEY]: encoding, [innerEncodingKey]: inner, ...metadata } = payload.metadata ?? {};
  if (encoding == null || inner == null || Buffer.from(encoding).toString() !== gzipEncoding) return payload;
  try {
    const data = await decompress(payload.data ?? new Uint8Array(), { maxOutputLength: longestDecodedBytes });
    return { metadata: { ...metadata, [METADATA_ENCODING_KEY]: inner }, data };
  } catch (error) {
    throw new ValueError(`A payload says that it is ${gzipEncoding} and cannot be read: ${(error as Error).message}`);
  }
}
