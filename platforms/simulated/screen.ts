/** A machine's screen as a picture: console text in a small font of our own, so that a screenshot is readable. */
import type { Picture } from '../png';

const columns = 80;
const rows = 25;
const cellWidth = 8;
const cellHeight = 14;
const dot = 2;

/** Three by five dots for each character, row by row, top left first. */
const glyphs: Readonly<Record<string, string>> = {
  A: '010101111101101',
  B: '110101110101110',
  C: '011100100100011',
  D: '110101101101110',
  E: '111100110100111',
  F: '111100110100100',
  G: '011100101101011',
  H: '101101111101101',
  I: '111010010010111',
  J: '001001001101010',
  K: '101101110101101',
  L: '100100100100111',
  M: '101111111101101',
  N: '110101101101101',
  O: '010101101101010',
  P: '110101110100100',
  Q: '010101101111011',
  R: '110101110101101',
  S: '011100010001110',
  T: '111010010010010',
  U: '101101101101111',
  V: '101101101101010',
  W: '101101111111101',
  X: '101101010101101',
  Y: '101101010010010',
  Z: '111001010100111',
  0: '111101101101111',
  1: '010110010010111',
  2: '110001010100111',
  3: '110001010001110',
  4: '101101111001001',
  5: '111100110001110',
  6: '011100110101010',
  7: '111001010010010',
  8: '010101010101010',
  9: '010101011001110',
  '.': '000000000000010',
  ',': '000000000010100',
  ':': '000010000010000',
  ';': '000010000010100',
  '!': '010010010000010',
  '?': '110001010000010',
  '-': '000000111000000',
  _: '000000000000111',
  '=': '000111000111000',
  '+': '000010111010000',
  '/': '001001010100100',
  '\\': '100100010001001',
  '(': '001010010010001',
  ')': '100010010010100',
  '[': '011010010010011',
  ']': '110010010010110',
  '<': '001010100010001',
  '>': '100010001010100',
  "'": '010010000000000',
  '"': '101101000000000',
  '#': '101111101111101',
  '*': '101010101000000',
  '|': '010010010010010',
  '@': '010101111100011',
};
const unknownGlyph = '111101101101111';

/** The last 25 lines of 80 characters, light grey on black. */
export function drawText(text: string): Picture {
  const width = columns * cellWidth;
  const height = rows * cellHeight;
  const rgb = Buffer.alloc(width * height * 3);
  const lines = text.split('\n').flatMap(wrap).slice(-rows);
  lines.forEach((line, row) => {
    [...line].forEach((character, column) => drawGlyph(rgb, width, character, column * cellWidth, row * cellHeight));
  });
  return { width, height, rgb };
}

function wrap(line: string): string[] {
  const characters = [...line];
  const parts: string[] = [];
  for (let from = 0; from < Math.max(1, characters.length); from += columns) {
    parts.push(characters.slice(from, from + columns).join(''));
  }
  return parts;
}

function drawGlyph(rgb: Buffer, width: number, character: string, left: number, top: number): void {
  if (character.trim() === '') return;
  const bits = glyphs[character.toUpperCase()] ?? unknownGlyph;
  for (let index = 0; index < bits.length; index++) {
    if (bits[index] !== '1') continue;
    const x = left + (index % 3) * dot;
    const y = top + Math.floor(index / 3) * dot;
    for (let line = 0; line < dot; line++)
      rgb.fill(0xc8, ((y + line) * width + x) * 3, ((y + line) * width + x + dot) * 3);
  }
}
