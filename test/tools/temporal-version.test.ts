import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const versionIn = (file: string, pattern: RegExp): string | undefined =>
  pattern.exec(readFileSync(join(__dirname, '../..', file), 'utf8'))?.[1];

test('set-up, the stack and the Go module name the same version of the Temporal CLI', () => {
  const setup = versionIn('tools/setup/temporal.mjs', /temporalVersion = '([\d.]+)'/);
  expect(setup).toMatch(/^\d+\.\d+\.\d+$/);
  expect(versionIn('stack/temporal-binary.ts', /[vV]ersion\w* = '([\d.]+)'/)).toBe(setup);
  expect(versionIn('tools/temporal/go.mod', /temporalio\/cli v([\d.]+)/)).toBe(setup);
});
