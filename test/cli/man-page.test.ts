/** The manual page: well-formed by an independent reader, and with everything in it that the help has. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { everyCommand } from '../../cli/documentation';
import { createProgram } from '../../cli/program';

/** Bold and underlined letters are struck over: X, backspace, X. */
const struckOver = new RegExp(`.${String.fromCharCode(8)}`, 'gu');
const page = join(__dirname, '../../docs/man/muster.1');

function mandoc(...args: string[]): string {
  const { error, stdout } = spawnSync('mandoc', [...args, page], { encoding: 'utf8' });
  if (error) throw error;
  return stdout;
}

test('mandoc has nothing against the page, apart from its having no date', () => {
  const complaints = mandoc('-Tlint', '-Wwarning')
    .split('\n')
    .filter((line) => line !== '');
  expect(complaints.filter((line) => !line.includes('missing date'))).toEqual([]);
});

test('every command, option and argument of the help is on the page as it is printed', () => {
  const words = (text: string): string => text.replace(/\s+/g, ' ');
  const printed = words(mandoc('-Tutf8', '-Owidth=200').replace(struckOver, ''));
  for (const { name, command } of everyCommand(createProgram())) {
    expect(printed).toContain(words(command.description().replace(/^R/, 'r').replace(/\.$/, '')));
    expect(printed).toContain(name);
    for (const { flags, description } of command.options) {
      expect(printed).toContain(`${flags} ${words(description).replaceAll('…', '...')}`);
    }
  }
});

test('docs/cli.md and the page are of the same commands', () => {
  const inDocs = [...readFileSync(join(__dirname, '../../docs/cli.md'), 'utf8').matchAll(/^### (muster .+)$/gm)];
  const onPage = [...readFileSync(page, 'utf8').matchAll(/^\.SS "(.+)"$/gm)].map(([, name]) =>
    name!.replaceAll('\\', ''),
  );
  expect(onPage).toEqual(inDocs.map(([, name]) => name));
});
