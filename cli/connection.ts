/** Where the API is and with whose token it is called: options, environment, then this machine's own configuration. */
import { readFileSync } from 'node:fs';
import { loadConfiguration } from '../config/load';
import { ConfigurationError } from '../config/problems';
import type { Configuration } from '../config/configuration';
import { dataFolderAt } from '../stack/data-folder';
import { CliError } from './exit-codes';
import { fileProblem } from './file-problem';

export interface Connection {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string;
}

/**
 * The URL from --url, MUSTER_URL or the configuration; the token from MUSTER_TOKEN, the file that MUSTER_TOKEN_FILE
 * names, or the admin token that `muster up` left in the data folder.
 *
 * @throws CliError `usage` or `not-allowed` that says where each can be put.
 */
export function findConnection(url: string | undefined, env: NodeJS.ProcessEnv): Connection {
  return { url: findUrl(url, env), token: findToken(env) };
}

function findUrl(option: string | undefined, env: NodeJS.ProcessEnv): string {
  const text = option ?? (env['MUSTER_URL'] || ownUrl(env));
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    const from = option === undefined ? 'MUSTER_URL' : '--url';
    throw new CliError('usage', `${from} is no address of an API: found "${text}", needed http://HOST:PORT`);
  }
  return text.replace(/\/+$/, '');
}

function findToken(env: NodeJS.ProcessEnv): string {
  const given = env['MUSTER_TOKEN']?.trim();
  if (given) return oneWord(given, 'MUSTER_TOKEN');
  const file = env['MUSTER_TOKEN_FILE'] || dataFolderAt(configuration(env).dataFolder).tokenFile;
  return oneWord(readToken(file), file);
}

/** What is no token is not shown: it may be another secret, or two of them. */
function oneWord(token: string, from: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const found = token.includes('\n') ? 'several lines' : 'a text with blanks or letters that no token has';
  throw new CliError(
    'not-allowed',
    `${from} holds no token: found ${found} (not shown), needed one word. An admin makes a token with \`muster token issue\``,
  );
}

function readToken(file: string): string {
  try {
    const token = readFileSync(file, 'utf8').trim();
    if (token !== '') return token;
    throw new Error('the file is empty');
  } catch (error) {
    const found = fileProblem(error) ?? (error instanceof Error ? error.message : String(error));
    throw new CliError(
      'not-allowed',
      `No token was found: MUSTER_TOKEN is not set and ${file} cannot be used (${found}). Set MUSTER_TOKEN, or MUSTER_TOKEN_FILE to a file that holds a token; \`muster up\` leaves one in its data folder`,
      { cause: error },
    );
  }
}

function ownUrl(env: NodeJS.ProcessEnv): string {
  const { host, port } = configuration(env).api;
  const name = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

function configuration(env: NodeJS.ProcessEnv): Configuration {
  try {
    return loadConfiguration(env);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new CliError('usage', error.message, { cause: error });
    throw error;
  }
}
