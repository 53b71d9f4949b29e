/** Fills docs/configuration.md between its markers with what the code knows; tools/docs.ts writes it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fillBetween, otherVariablesTable, settingsTable, table } from '../config/documentation';
import { exitCodeMeanings, exitCodeOf, stackProblems } from './exit-codes';

/** A test loads it, so the example in the page is one that works. */
export const exampleFile = join(__dirname, '..', 'config', 'example.yaml');

/** The page as it should be. */
export function configurationDocument(page: string): string {
  const example = readFileSync(exampleFile, 'utf8').trimEnd();
  const sections: Record<string, string> = {
    settings: settingsTable(),
    'other-variables': otherVariablesTable(),
    'sites-example': `\`\`\`yaml\n${example}\n\`\`\``,
    'exit-codes': exitCodeTable(),
  };
  return Object.entries(sections).reduce((text, [name, section]) => fillBetween(text, name, section), page);
}

function exitCodeTable(): string {
  const rows = stackProblems.map((problem) => [String(exitCodeOf(problem)), exitCodeMeanings[problem]]);
  return table(['exit code', 'meaning'], [['0', 'stopped cleanly'], ...rows]);
}
