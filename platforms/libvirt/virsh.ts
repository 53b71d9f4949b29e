/** Runs virsh for one connection. Machines are addressed by uuid: virsh takes a name made of digits for a domain's number. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProgramError, runProgram, type RunOptions } from '../../programs/run';
import { explainFailure } from './errors';

export interface Virsh {
  readonly uri: string;
  /** Standard output of `virsh ARGS`. `what` begins the sentence when it fails: `app01 cannot be started`. */
  run(what: string, args: readonly string[], options?: VirshOptions): Promise<string>;
}

export interface VirshOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** Text of the file that stands as `xmlFile` among the arguments. */
  readonly xml?: string;
}

const defaultTimeoutMs = 60_000;

/** Virsh on `uri`; failures are MusterErrors, an abort rejects with the signal's reason. */
export function virshOn(uri: string): Virsh {
  return {
    uri,
    run: async (what, args, options = {}) => {
      options.signal?.throwIfAborted();
      const { xml } = options;
      if (xml === undefined) return runNative(what, 'virsh', virshArgs(uri, args), options);
      return withXmlFile(xml, (path) => {
        const filled = args.map((argument) => (argument === xmlFile ? path : argument));
        return runNative(what, 'virsh', virshArgs(uri, filled), options);
      });
    },
  };
}

/** Stands for the file with the XML. virsh cannot be given it as /dev/stdin: that is a socket here. */
export const xmlFile = '{xml}';

async function withXmlFile<T>(xml: string, work: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-xml-'));
  try {
    const path = join(folder, 'device.xml');
    await writeFile(path, xml, { mode: 0o600 });
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function virshArgs(uri: string, args: readonly string[]): string[] {
  return ['--connect', uri, '--quiet', ...args];
}

/**
 * Lets virsh read one command instead of being given it: what stands there is seen by nobody else and kept nowhere. It also
 * prints it, and ends well whatever came of it.
 */
export async function typeToVirsh(
  uri: string,
  what: string,
  words: readonly string[],
  options: VirshOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  const input = `${words.map(typedWord).join(' ')}\n`;
  // Without the variable virsh writes what it read into a history file.
  return native(what, 'virsh', virshArgs(uri, []), { ...options, input, env: { VIRSH_HISTSIZE: '0' } });
}

/**
 * A word as virsh reads it from its input. It reads by readline, which takes the delete character as a key, so what is not
 * printable ASCII has to stand in JSON texts, where it can be written as an escape.
 */
export function typedWord(word: string): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `'${word.replace(/[^ -~]|'/g, escaped)}'`;
}

/** Runs a program of libvirt or QEMU with the same treatment of failures. */
export async function runNative(
  what: string,
  program: string,
  args: readonly string[],
  options: VirshOptions = {},
): Promise<string> {
  return (await native(what, program, args, options)).stdout;
}

async function native(
  what: string,
  program: string,
  args: readonly string[],
  options: VirshOptions & Pick<RunOptions, 'input' | 'env'>,
): Promise<{ stdout: string; stderr: string }> {
  try {
    return await runProgram(program, args, {
      timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
      ...(options.input === undefined ? {} : { input: options.input }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof ProgramError || (error as Error).name === 'ProgramError') {
      throw explainFailure(what, error as ProgramError);
    }
    throw error;
  }
}
