/** virsh, with its refusals put into our families of errors. */
import { OperatorError, TransientError, type MusterError } from '../model/errors';
import { ProgramError, runProgram, type RunOptions } from '../programs/run';

export type Virsh = (args: readonly string[], options?: RunOptions) => Promise<string>;

const defaultTimeoutMs = 30_000;

/** Runs virsh against one host; returns what it prints. @throws TransientError, or OperatorError for an unknown machine. */
export function virshOn(uri: string): Virsh {
  return async (args, options = {}) => {
    try {
      const limits = { timeoutMs: defaultTimeoutMs, ...options };
      return (await runProgram('virsh', ['-c', uri, '--quiet', ...args], limits)).stdout.trim();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof ProgramError)) throw error;
      throw explain(args, error);
    }
  };
}

function explain(args: readonly string[], error: ProgramError): MusterError {
  const said = error.stderr
    .trim()
    .replaceAll(/^error: /gm, '')
    .split('\n')
    .join('; ');
  const facts = {
    what: `virsh ${args[0]} failed on the source`,
    found: said === '' || error.tooMuchOutput ? error.shortMessage : said.slice(0, 1000),
    detail: error.message,
  };
  if (/failed to get domain|Domain not found/i.test(said)) {
    return new OperatorError(
      { ...facts, needed: `a machine named ${args[1]}`, remedy: 'Check the name with `virsh list --all`.' },
      { cause: error },
    );
  }
  return new TransientError(facts, { cause: error });
}
