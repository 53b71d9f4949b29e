import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refusals } from '../../workflows/messages';
import { generatedDocuments } from '../../tools/docs';
import { folders } from '../../tools/readmes';

const docs = join(__dirname, '../../docs');
const read = (path: string): string => readFileSync(join(docs, path), 'utf8');

test('every generated document is what its source says (npm run docs)', async () => {
  const documents = await generatedDocuments();
  expect(Object.keys(documents)).toEqual(expect.arrayContaining(['api.md', 'cli.md', 'configuration.md', ...folders.map((folder) => `../${folder}/README.md`)]));
  for (const [path, text] of Object.entries(documents)) expect([path, read(path)]).toEqual([path, text]);
});

test('what scripts, storage and plans say when they fail has its entry in when-it-is-stuck.md', () => {
  const page = read('when-it-is-stuck.md');
  for (const what of ['script ‹name› (‹program›) failed', 'the storage of the replica cannot be used', '‹name› is held by another run'])
    expect(page).toContain(`### ${what}`);
});

test('docs/api.md names every refusal of a decision', () => {
  for (const refusal of refusals) expect(read('api.md')).toContain(`\`${refusal}\``);
});
