/** What a browser gets that comes without a token: what this is, and the commands that show the same. Nothing of any run. */
import { loadTemplate, loadText } from './engine';

interface NoLoginPage {
  readonly commands: readonly string[];
  readonly css: string;
}

const template = loadTemplate<NoLoginPage>('no-login');
const css = loadText('no-login', 'no-login.css');

/** One HTML file without scripts and requests. `runId`: the one of the address, or null where it has none. */
export function renderNoLogin(runId: string | null): string {
  const run = runId ?? 'RUN';
  return template({ commands: [`muster report ${run}`, `muster show ${run}`], css });
}
