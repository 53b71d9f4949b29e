/**
 * A PNG encoder for screenshots: 8-bit RGB, no filters, one IDAT chunk; and a reader for the PPM that QEMU writes.
 * Source of the facts: the PNG specification (W3C, third edition), sections 5 and 11; netpbm's ppm(5).
 */
import { crc32, deflateSync } from 'node:zlib';
import { PermanentError } from '../model/errors';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Three bytes for each pixel, rows from top to bottom. */
  readonly rgb: Buffer;
}

/** The picture as a PNG file. */
export function encodePng(picture: Picture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(picture.width, 0);
  header.writeUInt32BE(picture.height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const stride = picture.width * 3;
  const rows = Buffer.alloc((stride + 1) * picture.height);
  for (let row = 0; row < picture.height; row++) {
    picture.rgb.copy(rows, row * (stride + 1) + 1, row * stride, (row + 1) * stride);
  }
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body) >>> 0, body.length + 4);
  return framed;
}

/** Reads a binary PPM (P6, 8 bits). @throws PermanentError when it is something else or cut short. */
export function decodePpm(file: Buffer): Picture {
  const head = /^P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+(\d+)\s/.exec(file.subarray(0, 512).toString('latin1'));
  const [width, height, depth] = [Number(head?.[1]), Number(head?.[2]), Number(head?.[3])];
  const rgb = file.subarray(head?.[0].length ?? 0);
  if (!head || depth !== 255 || rgb.length < width * height * 3) {
    throw new PermanentError({
      what: 'the screenshot is not a picture',
      found: `${file.length} bytes starting with ${JSON.stringify(file.subarray(0, 16).toString('latin1'))}`,
      needed: 'a whole binary PPM (P6) with 8 bits a colour',
    });
  }
  return { width, height, rgb: rgb.subarray(0, width * height * 3) };
}
