/** The tables of files in the folders' READMEs, made from the first sentence of each file's own comment. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { table } from '../config/documentation';

const root = join(__dirname, '..');
const head = ['file', 'what is in it'];
const marker = '| file | what is in it |';

/** Folders whose README has such a table. */
export const folders = [
  'activities',
  'api',
  'api/routes',
  'cli',
  'config',
  'disks/linux',
  'platforms/libvirt',
  'platforms/physical',
  'replication',
  'stack',
  'stack/doctor',
  'worker',
  'workflows',
  'workflows/runner',
] as const;

/** Path of each README below the checkout -> its text with the table as it should be. @throws when one is missing, or its table */
export function readmes(): Record<string, string> {
  return Object.fromEntries(
    folders.map((folder) => {
      const text = readFileSync(join(root, folder, 'README.md'), 'utf8');
      return [`${folder}/README.md`, withTable(text, filesOf(folder))];
    }),
  );
}

interface Described {
  readonly name: string;
  readonly sentence: string;
}

function filesOf(folder: string): Described[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => ({ name, sentence: firstSentence(readFileSync(join(root, folder, name), 'utf8')) }));
}

/** Replaces the table, which runs to the first line that is not of it. @throws when there is none */
export function withTable(text: string, files: readonly Described[]): string {
  const start = text.indexOf(marker);
  if (start === -1) throw new Error(`The README has no table "${marker}".`);
  const rest = text.slice(start).split('\n');
  const end = rest.findIndex((line) => !line.startsWith('|'));
  const after = end === -1 ? '' : rest.slice(end).join('\n');
  const rows = files.map(({ name, sentence }) => [`\`${name}\``, sentence]);
  return `${text.slice(0, start)}${table(head, rows)}\n${after}`;
}

/** Of the comment that opens a file: up to the first full stop that ends a sentence. '' when there is no such comment. */
export function firstSentence(source: string): string {
  const comment = /^\s*\/\*\*([\s\S]*?)\*\//.exec(source)?.[1] ?? '';
  const text = comment.replace(/^\s*\* ?/gm, '').trim();
  const paragraph = (text.split(/\n\s*\n/)[0] ?? '').replace(/\s+/g, ' ').trim();
  return (/^.*?[.!?](?=\s+["'`(]?[A-Z]|$)/.exec(paragraph)?.[0] ?? paragraph).replace(/:$/, '.');
}
