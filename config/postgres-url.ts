/** The Postgres URL is a secret: it is read where it is used, and kept nowhere. */
import { readFileSync } from 'node:fs';
import type { Configuration } from './configuration';
import { ConfigurationError, type ConfigurationProblem } from './problems';

/**
 * The URL with its password.
 *
 * @throws ConfigurationError when the file cannot be read or holds no Postgres URL; the message never shows its text.
 */
export function readPostgresUrl(configuration: Pick<Configuration, 'postgres'>): string {
  const { url } = configuration.postgres;
  if ('text' in url) return url.text;
  const { text, problem } = readUrlFile('MUSTER_POSTGRES_URL_FILE', url.file);
  if (problem !== undefined) throw new ConfigurationError([problem]);
  return text;
}

export function readUrlFile(where: string, file: string): { text: string; problem?: ConfigurationProblem } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    const found = `${file}, which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`;
    return { text: '', problem: { where, found, needed: 'a file with the URL', remedy: 'Create it with mode 0600.' } };
  }
  if (isPostgresUrl(text)) return { text };
  const found = `${file}, whose text is no Postgres URL`;
  const needed = 'one line: postgres://user:password@host:port/database';
  return {
    text: '',
    problem: { where, found, needed, remedy: 'Correct the file; percent-encode special characters.' },
  };
}

export function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol);
}
