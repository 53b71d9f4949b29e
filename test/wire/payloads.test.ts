import { gunzipSync, gzipSync } from 'node:zlib';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { compressAboveBytes, gzipEncoding, payloadCodec } from '../../wire/payloads';
import { planOf } from '../support/plan-sizes';

const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value)!;
const encodingOf = ({ metadata }: Payload): string => Buffer.from(metadata!['encoding']!).toString();
const travel = async (payload: Payload): Promise<Payload> => (await payloadCodec.encode([payload]))[0]!;

test('a large payload is compressed, and comes back as it was', async () => {
  const value = { text: 'ä'.repeat(compressAboveBytes) };
  const sent = await travel(payloadOf(value));
  expect(encodingOf(sent)).toBe(gzipEncoding);
  expect(JSON.parse(gunzipSync(sent.data!).toString())).toEqual(value);
  const [back] = await payloadCodec.decode([sent]);
  expect(encodingOf(back!)).toBe('json/plain');
  expect(defaultPayloadConverter.fromPayload(back!)).toEqual(value);
});

test('a small payload, and one of an earlier version, stay as they are', async () => {
  const small = payloadOf('x'.repeat(100));
  expect(await travel(small)).toBe(small);
  const old = payloadOf('x'.repeat(2 * compressAboveBytes));
  expect(await payloadCodec.decode([old, small])).toEqual([old, small]);
});

test('bytes that are no gzip, and bytes that swell beyond measure, are refused', async () => {
  const sent = await travel(payloadOf('x'.repeat(2 * compressAboveBytes)));
  const broken = { ...sent, data: Buffer.from('no gzip') };
  await expect(payloadCodec.decode([broken])).rejects.toThrow('cannot be read');
  const bomb = { ...sent, data: gzipSync(Buffer.alloc(257 * 1024 * 1024)) };
  await expect(payloadCodec.decode([bomb])).rejects.toThrow('cannot be read');
});

test('the order of a plan of 2,000 servers fits, with room to spare', async () => {
  const sent = await travel(payloadOf(planOf(2_000)));
  expect(payloadOf(planOf(2_000)).data!.length).toBeGreaterThan(4 * 1024 * 1024);
  expect(sent.data!.length).toBeLessThan(1024 * 1024);
});
