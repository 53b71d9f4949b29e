/**
 * Handlebars, set up once and strictly: every field that a template names must exist, only the helpers below are known,
 * and everything is escaped. Templates are read and compiled when this file is loaded, so that a broken one stops the
 * process at its start and not in the middle of a recovery.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Handlebars from 'handlebars';

export type Template<Page> = (page: Page) => string;

/**
 * The template `folder`/page.hbs, with every other .hbs file of the folder as a partial, and, of pages, those of shared/. Throws where
 * one does not parse.
 */
export function loadTemplate<Page>(folder: string, kind: 'html' | 'plain text' = 'html'): Template<Page> {
  const engine = Handlebars.create();
  for (const from of kind === 'html' ? ['shared', folder] : [folder]) {
    const at = join(__dirname, from);
    for (const file of readdirSync(at).filter((name) => name.endsWith('.hbs'))) {
      const source = readFileSync(join(at, file), 'utf8');
      Handlebars.parse(source);
      engine.registerPartial(file.slice(0, -'.hbs'.length), source);
    }
  }
  const main = engine.partials['page'] as string;
  const render = engine.compile<Page>(main, {
    ...{ strict: true, knownHelpersOnly: true, assumeObjects: false },
    // Plain text has nothing to escape: what is no text is taken out before (printable.ts).
    noEscape: kind === 'plain text',
  });
  return (page) => render(page);
}

/** A file of the folder as it is: style sheets, which are ours and need no escaping. */
export function loadText(folder: string, file: string): string {
  return readFileSync(join(__dirname, folder, file), 'utf8');
}
