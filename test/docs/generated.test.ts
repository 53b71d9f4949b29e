import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedDocuments } from '../../tools/docs';

test.each(Object.entries(generatedDocuments()))('docs/%s is what its source says (npm run docs)', (path, text) => {
  expect(readFileSync(join(__dirname, '../../docs', path), 'utf8')).toBe(text);
});
