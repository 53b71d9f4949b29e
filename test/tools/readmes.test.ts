import { firstSentence, withTable } from '../../tools/readmes';

test('the first sentence is whole: neither a colon nor the name of a file ends it', () => {
  const source = `/**\n * Servers by name, remembered in memory (design: law 5), as read by\n * store.ts e.g. at night. Postgres is asked first.\n *\n * More.\n */\nimport x from 'y';`;
  expect(firstSentence(source)).toBe(
    'Servers by name, remembered in memory (design: law 5), as read by store.ts e.g. at night.',
  );
  expect(firstSentence('/** One run: the only place where a step runs. A procedure … */')).toBe(
    'One run: the only place where a step runs.',
  );
  expect(firstSentence('/** `muster up`: in the foreground until SIGINT */')).toBe(
    '`muster up`: in the foreground until SIGINT',
  );
  expect(firstSentence("import x from 'y';\n/** Not of the file. */")).toBe('');
});

test('a table is replaced, and what stands around it is kept', () => {
  const before = '# T\n\nRead this.\n\n| file | what is in it |\n|---|---|\n| `old.ts` | Old |\n\nAfterwards.\n';
  const after = withTable(before, [{ name: 'new.ts', sentence: 'This | that.' }]);
  expect(after).toBe(
    '# T\n\nRead this.\n\n| file | what is in it |\n|---|---|\n| `new.ts` | This \\| that. |\n\nAfterwards.\n',
  );
  expect(withTable(after, [{ name: 'new.ts', sentence: 'This | that.' }])).toBe(after);
  expect(() => withTable('# T\n', [])).toThrow('no table');
});
