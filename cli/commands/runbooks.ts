/** Runbooks: `muster runbook check`, `import`, `list` and `show`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type {
  EvacuationDocument,
  ImportedDocument,
  RunbookCheckDocument,
  RunbookDocument,
  RunbooksDocument,
} from '../../api/schemas/runbooks';
import { formatTime } from '../../model/durations';
import { action, type Context } from '../context';
import { exitCodeOf } from '../exit-codes';
import { paragraph, table, wrap } from '../output';
import { parseWhole } from '../parse';
import { countOf, readRunbookText, sayProblems } from '../runbook-file';
import { runbookPlanCommand } from './runbook-plan';

/** Generated from the form that runbooks are read by. */
const schemaFile = join(__dirname, '../../runbooks/runbook.schema.json');

interface ShowOptions {
  readonly text?: boolean;
}

export function runbookCommands(program: Command): void {
  const runbook = program.command('runbook').description('check, preview, import, list and show runbooks');
  runbook
    .command('check')
    .description('say everything that is wrong with a runbook; nothing is stored')
    .argument('<file>', 'the runbook, YAML; - for standard input')
    .action(action(check));
  runbookPlanCommand(runbook);
  runbook
    .command('schema')
    .description('print the JSON Schema of runbooks of this version, by which editors complete and check')
    .action(async () => void process.stdout.write(await readFile(schemaFile)));
  runbook
    .command('import')
    .description('store a runbook as a new version; the newest text again is the version that it is')
    .argument('<file>', 'the runbook, YAML; - for standard input')
    .action(action(importFile));
  runbook
    .command('evacuation')
    .description('print a runbook that recovers everything of a site, in the order of tiers, to read and import')
    .argument('<site>', 'the site that is left')
    .action(action(evacuation));
  runbook.command('list').description('list runbooks in their newest versions').action(action(list));
  runbook
    .command('show')
    .description('show a runbook: its versions, and its text')
    .argument('<runbook>', 'its name')
    .argument('[version]', 'its number (default: the newest)', parseWhole)
    .option('--text', 'print the text alone, as it was imported')
    .action(action(show));
}

async function check({ client, out }: Context, _options: object, file: string): Promise<void> {
  const { text } = await readRunbookText(file);
  const { body: checked } = await client.call<RunbookCheckDocument>('POST', '/runbooks/check', { body: { text } });
  if (!checked.ok) process.exitCode = exitCodeOf('refused');
  if (out.json) return out.document({ file, ...checked });
  sayProblems(out, file, checked);
  out.line(`${checked.name ?? file}: ${countOf(checked.problems)}`);
}

async function importFile({ client, out }: Context, _options: object, file: string): Promise<void> {
  const { text } = await readRunbookText(file);
  const { body: checked } = await client.call<RunbookCheckDocument>('POST', '/runbooks/check', { body: { text } });
  if (!checked.ok) {
    process.exitCode = exitCodeOf('refused');
    if (out.json) return out.document({ file, ...checked });
    sayProblems(out, file, checked);
    return out.error(`muster: nothing was imported: ${countOf(checked.problems)}`);
  }
  const { body: imported } = await client.call<ImportedDocument>('POST', '/runbooks', { body: { text } });
  if (out.json) return out.document(imported);
  sayProblems(out, file, { problems: imported.warnings, notChecked: imported.notChecked });
  const { name, version, sha256, seenBefore, sameAs } = imported;
  const again = sameAs === null ? '' : `, the text of version ${sameAs} again`;
  const what = seenBefore
    ? `This very text is version ${version} of ${name} already`
    : `Imported ${name}, version ${version}${again}`;
  for (const line of wrap(`${what} (SHA-256 ${sha256.slice(0, 12)}…).`, out.width)) out.line(line);
  if (imported.notScheduled !== null) out.error(`muster: ${imported.notScheduled}`);
}

/** The text alone goes to standard output, so that it can go into a file. */
async function evacuation({ client, out }: Context, _options: object, site: string): Promise<void> {
  const found = await client.get<EvacuationDocument>(`/sites/${encodeURIComponent(site)}/evacuation`);
  if (out.json) return out.document(found);
  process.stdout.write(found.text);
  const { leftOut, unreadable } = found;
  if (leftOut.length > 0)
    out.error(`muster: servers of ${site} in no runbook: ${leftOut.length}, named above the text`);
  for (const name of unreadable) out.error(`muster: runbook ${name} cannot be read any more: not included`);
}

async function list({ client, out }: Context): Promise<void> {
  const { items } = await client.get<RunbooksDocument>('/runbooks');
  if (out.json) return out.document(items);
  if (items.length === 0) return out.line('No runbooks. Import one with `muster runbook import FILE`.');
  const columns = [
    { title: 'runbook', width: 13, grows: true },
    { title: 'version', width: 7, right: true },
    { title: 'tier', width: 4, right: true },
    { title: 'title', width: 14, grows: true },
    { title: 'imported', width: 16 },
    { title: 'by', width: 11 },
  ];
  const rows = items.map(({ name, version, tier, title, importedAt, importedBy }) => [
    name,
    String(version),
    String(tier),
    title,
    formatTime(importedAt).slice(0, 16),
    importedBy,
  ]);
  out.line(table(out, columns, rows));
}

async function show({ client, out }: Context, { text }: ShowOptions, name: string, version?: number): Promise<void> {
  const query = version === undefined ? '' : `?version=${version}`;
  const runbook = await client.get<RunbookDocument>(`/runbooks/${encodeURIComponent(name)}${query}`);
  if (out.json) return out.document(runbook);
  if (text === true) return void process.stdout.write(runbook.text);
  const line = (label: string, value: string): void => out.line(paragraph(out, `  ${label}`, value, 12));
  out.line(`${runbook.name}, version ${runbook.version}`);
  line('title', runbook.title);
  line('tier', String(runbook.tier));
  if (runbook.includes.length > 0) line('includes', runbook.includes.join(', '));
  line('imported', `${formatTime(runbook.importedAt)} by ${runbook.importedBy}`);
  line('SHA-256', runbook.sha256);
  const others = runbook.versions.filter((one) => one.version !== runbook.version);
  for (const one of others)
    line(`version ${one.version}`.slice(0, 11), `${formatTime(one.importedAt)} by ${one.importedBy}`);
  out.line(`Its text: muster runbook show ${runbook.name} ${runbook.version} --text`);
}
