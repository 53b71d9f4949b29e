/** Runs virsh for one connection. Machines are addressed by uuid: virsh takes a name made of digits for a domain's number. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProgramError, runProgram } from '../../programs/run';
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
  /** Commands for virsh to read, in place of its arguments: what stands there is seen by nobody else and kept nowhere. */
  readonly commands?: string;
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

/** Runs a program of libvirt or QEMU with the same treatment of failures. */
export async function runNative(
  what: string,
  program: string,
  args: readonly string[],
  options: VirshOptions = {},
): Promise<string> {
  try {
    const result = await runProgram(program, args, {
      timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
      // Without the variable virsh writes what it read into a history file.
      ...(options.commands === undefined ? {} : { input: options.commands, env: { VIRSH_HISTSIZE: '0' } }),
    });
    return result.stdout;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof ProgramError || (error as Error).name === 'ProgramError') {
      throw explainFailure(what, error as ProgramError);
    }
    throw error;
  }
}
