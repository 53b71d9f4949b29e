/** docs/dependencies.md says what Muster stands on; this fails when it and the lists that machines read disagree. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemPackages } from '../../tools/setup/system-packages.mjs';

const root = join(__dirname, '..', '..');
const document = readFileSync(join(root, 'docs', 'dependencies.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;

/** The rows of the table under a heading: their first cell without its backquotes, and the other cells. */
function rowsUnder(heading: string): { name: string; cells: string[] }[] {
  const section = document.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => {
    const [name = '', ...cells] = row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
    return { name: name.replaceAll('`', ''), cells };
  });
}

function namesUnder(heading: string): string[] {
  return rowsUnder(heading)
    .map(({ name }) => name)
    .sort();
}

test('every npm package that Muster runs on is documented, and no other', () => {
  expect(namesUnder('npm packages at run time')).toEqual(Object.keys(manifest['dependencies']!).sort());
});

test('every npm package for development is documented, and no other', () => {
  expect(namesUnder('npm packages for development')).toEqual(Object.keys(manifest['devDependencies']!).sort());
});

test('every system package that set-up installs is documented, and no other', () => {
  expect(namesUnder('System packages')).toEqual(systemPackages.map(({ name }) => name).sort());
});

test('every dependency is documented with reason, licence and size', () => {
  const headings = ['npm packages at run time', 'npm packages for development', 'System packages', 'Go modules'];
  const rows = headings.flatMap(rowsUnder);
  expect(rows.filter(({ cells }) => cells.length !== 3 || cells.some((cell) => cell === ''))).toEqual([]);
});

test('every licence in the document is the one that the npm package declares', () => {
  const rows = [...rowsUnder('npm packages at run time'), ...rowsUnder('npm packages for development')];
  const declared = rows.map(({ name }) => {
    const file = join(root, 'node_modules', name, 'package.json');
    return [name, (JSON.parse(readFileSync(file, 'utf8')) as { license: string }).license];
  });
  expect(rows.map(({ name, cells }) => [name, cells[1]])).toEqual(declared);
});

test('the Go modules that are pinned are documented in the same version', () => {
  const goMod = readFileSync(join(root, 'tools', 'temporal', 'go.mod'), 'utf8');
  for (const { name } of rowsUnder('Go modules')) expect(goMod).toContain(name);
  expect(namesUnder('Go modules')).toContain(`github.com/temporalio/cli ${/temporalio\/cli (v\S+)/.exec(goMod)?.[1]}`);
});

/** `npm ci` refuses a lock file that lacks a package for another system, which npm writes where its registry lacks it. */
test('the lock file names every optional package, also those for other systems', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.entries(packages).flatMap(([place, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) => !packages[`${place}/node_modules/${name}`] && !packages[`node_modules/${name}`],
    ),
  );
  expect(missing).toEqual([]);
});
