/** Every `muster …` that errors, risks and pages say, and that the documents have people type, as the program itself has it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Option } from 'commander';
import ts from 'typescript';
import { createProgram } from '../../cli/program';
import { correctableFields } from '../../model/order';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';

const root = join(__dirname, '../..');
const folders = ['activities', 'api', 'cli', 'config', 'disks', 'model', 'platforms', 'programs', 'record', 'replication'];
const sources = [...folders, 'stack', 'store', 'templates', 'workflows'].flatMap((folder) => filesOf(folder, '.ts'));
const pages = ['README.md', ...filesOf('docs', '.md')];
const program = createProgram();

function filesOf(folder: string, end: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith(end)).map((name) => join(folder, name));
}

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Of its texts, with what is known at run time only as X; not of its comments. */
function commandsOfSource(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) found.push(...inBackticks(node.text));
    if (ts.isTemplateExpression(node))
      found.push(...inBackticks(`${node.head.text}${node.templateSpans.map((one) => `X${one.literal.text}`).join('')}`));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true));
  return found;
}

const inBackticks = (text: string): string[] => [...text.matchAll(/`(muster [^`]+)`/g)].map(([, command]) => command!);

function commandsOfPage(file: string): string[] {
  const lines = [...read(file).matchAll(/^```\w*\n(.*?)^```/gms)].flatMap(([, block]) => block!.split('\n'));
  return lines.filter((line) => line.startsWith('muster ')).map((line) => line.replace(/ +#.*| [>|&] .*/, ''));
}

/** Why the program would refuse it; null: it would not, or only the name of a command is meant. */
function problemOf(text: string): string | null {
  const words = text.match(/(?:'[^']*'|"[^"]*"|\S)+/g)!.slice(1);
  let command: Command = program;
  for (let next; (next = command.commands.find((one) => one.name() === words[0])) !== undefined; words.shift())
    command = next;
  if (command === program) return words[0]!.startsWith('-') ? null : `no command ${words[0]}`;
  const given = new Set<string>();
  const operands: string[] = [];
  if (words.length === 0) return null;
  while (words.length > 0) {
    const word = words.shift()!;
    if (!word.startsWith('--')) operands.push(word);
    else {
      const option = command.options.find(({ long }) => long === word);
      if (option === undefined) return `no option ${word}`;
      if (option.required && words.length === 0) return `${word} without a value`;
      const value = option.required ? words.shift()! : '';
      if (word === '--from' && !pushButtonDeclaration.steps.some(({ id }) => id === value)) return `no step ${value}`;
      if (word === '--set' && !/^[A-Z]+=/.test(value) && !correctableFields.some((field) => value.startsWith(`${field}=`)))
        return `no field ${value}`;
      given.add(word);
    }
  }
  const { registeredArguments: known } = command;
  if (operands.length < known.filter(({ required }) => required).length) return 'too few arguments';
  if (operands.length > known.length && known.at(-1)?.variadic !== true) return `too many arguments: ${operands.join(' ')}`;
  const isNeeded = ({ mandatory, description }: Option): boolean =>
    mandatory || description.endsWith('(needed)') || (given.size > 0 && description.endsWith('needed for a change'));
  const missing = command.options.filter(isNeeded);
  return missing.filter(({ long }) => !given.has(long!)).map(({ long }) => `without ${long}`)[0] ?? null;
}

test('the program takes every command that the code shows people, and that the documents have them type', () => {
  const shown = [...sources.map((file) => [file, commandsOfSource(file)] as const), ...pages.map((file) => [file, commandsOfPage(file)] as const)];
  const wrong = shown.flatMap(([file, commands]) =>
    commands.flatMap((text) => (problemOf(text) === null ? [] : [`${file}: ${text}: ${problemOf(text)}`])),
  );
  expect(shown.flatMap(([, commands]) => commands).length).toBeGreaterThan(200);
  expect(wrong).toEqual([]);
});
