/** The first person's token: made once, kept in a file that only the owner of the data folder can read. */
import { readFile } from 'node:fs/promises';
import type { Tokens } from '../store/contract';
import { writePrivately } from './data-folder';

/**
 * Makes sure that the file holds a token which the store accepts; a new one is issued when the file is gone or belongs
 * to another database. Returns whether one was issued.
 */
export async function ensureAdminToken(tokens: Tokens, file: string): Promise<boolean> {
  const present = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (present !== '' && (await tokens.verify(present)) !== undefined) return false;
  const { token } = await tokens.issue({ name: 'admin', role: 'admin' }, null);
  await writePrivately(file, `${token}\n`);
  return true;
}
