/**
 * References to secrets resolved in memory, by the worker that needs them (design: law 8). Nothing here puts a secret into
 * a message: errors name the reference.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError, assertNever } from '../model/errors';
import { describeSecretRef, parseSecretRef, secretVariablePrefix, type SecretRef } from '../model/secrets';

/** The bytes that a reference means, at most 8 KiB. @throws OperatorError naming the reference, never the value. */
export type Secrets = (ref: SecretRef) => Promise<Buffer>;

export interface SecretsSettings {
  /** Where `file:` references are looked up. */
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

const maxBytes = 8192;

/** Builds the resolver; nothing is read before it is asked for, and nothing is kept. */
export function createSecrets(settings: SecretsSettings): Secrets {
  return async (ref) => {
    if (parseSecretRef(describeSecretRef(ref)) === null) {
      throw refused(ref, 'a name that leads elsewhere', 'letters, digits and ._- only', 'Correct the reference.');
    }
    switch (ref.from) {
      case 'file':
        return withoutLastBreak(await readSecretFile(ref, join(settings.folder, ref.name)));
      case 'environment':
        return withoutLastBreak(readVariable(ref, settings.environment));
      default:
        return assertNever(ref.from);
    }
  };
}

/** Of editors and `echo`; a key that ends in a line break is given with two. */
function withoutLastBreak(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}

async function readSecretFile(ref: SecretRef, path: string): Promise<Buffer> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    const found = code === 'ENOENT' ? `no file ${path}` : `${path}, which cannot be opened (${code})`;
    const remedy = `Write the secret to ${path} on the worker's host (mode 0600, its own user), then decide "retry".`;
    throw refused(ref, found, 'a file that the worker can read and others cannot', remedy);
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
      throw refused(ref, `${path} is no file`, 'a regular file', `Replace ${path} by a file of mode 0600.`);
    }
    if ((mode & 0o077) !== 0) {
      const found = `${path} with mode ${(mode & 0o777).toString(8).padStart(4, '0')}`;
      throw refused(ref, found, 'mode 0600: others must not read it', `chmod 0600 ${path}, then decide "retry".`);
    }
    if (size > maxBytes) throw tooLarge(ref, size);
    return refuseEmpty(ref, await file.readFile());
  } finally {
    await file.close();
  }
}

function readVariable(ref: SecretRef, environment: NodeJS.ProcessEnv): Buffer {
  if (!ref.name.startsWith(secretVariablePrefix)) {
    throw refused(ref, ref.name, `a variable whose name starts with ${secretVariablePrefix}`, 'Rename the variable.');
  }
  const value = environment[ref.name];
  if (value === undefined) {
    const remedy = `Set ${ref.name} for the worker and restart it, then decide "retry".`;
    throw refused(ref, 'no such variable', `${ref.name} in the worker's environment`, remedy);
  }
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length > maxBytes) throw tooLarge(ref, bytes.length);
  return refuseEmpty(ref, bytes);
}

function refuseEmpty(ref: SecretRef, bytes: Buffer): Buffer {
  if (withoutLastBreak(bytes).length > 0) return bytes;
  throw refused(ref, 'nothing in it', 'the secret', 'Write the secret there, then decide "retry".');
}

const tooLarge = (ref: SecretRef, size: number) =>
  refused(ref, `${size} bytes`, `at most ${maxBytes} bytes`, 'Look whether it is the right file.');

const refused = (ref: SecretRef, found: string, needed: string, remedy: string) =>
  new OperatorError({ what: `the secret ${describeSecretRef(ref)} cannot be used`, found, needed, remedy });
