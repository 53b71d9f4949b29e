/** The tables of docs/configuration.md, made from the settings themselves. */
import { otherVariables, settings, type Setting } from './settings';

/** Markdown table of every setting. */
export function settingsTable(): string {
  const rows = Object.values<Setting>(settings).map((setting) => [
    `\`${setting.variable}\``,
    setting.key === null ? '–' : `\`${setting.key}\``,
    setting.meaning,
    setting.needed,
    setting.standard,
  ]);
  return table(['variable', 'in the file', 'meaning', 'value', 'default'], rows);
}

/** Markdown table of the variables that are read outside the configuration. */
export function otherVariablesTable(): string {
  return table(
    ['variable', 'meaning'],
    otherVariables.map(({ variable, meaning }) => [`\`${variable}\``, meaning]),
  );
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** Puts `text` between the markers `<!-- name -->` and `<!-- /name -->` of a page. @throws when a marker is missing. */
export function fillBetween(page: string, name: string, text: string): string {
  const start = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  if (!page.includes(start) || !page.includes(end)) throw new Error(`The page has no markers ${start} and ${end}.`);
  const [before] = page.split(start);
  const [, after] = page.split(end);
  return `${before}${start}\n\n${text}\n\n${end}${after}`;
}
