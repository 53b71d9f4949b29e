/** What is wrong with a configuration: every problem at once, each with what to do. */

export interface ConfigurationProblem {
  /** The environment variable or the place in the file: `MUSTER_API_PORT`, `muster.yaml: sites[0].uri`. */
  readonly where: string;
  readonly found: string;
  readonly needed: string;
  readonly remedy: string;
}

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  constructor(readonly problems: readonly ConfigurationProblem[]) {
    super(problems.map(describeProblem).join('\n'));
  }
}

export function describeProblem(problem: ConfigurationProblem): string {
  return `${problem.where}: found ${problem.found}, needed ${problem.needed}. ${problem.remedy}`;
}

/** Somebody may have written the secret itself where only a reference belongs. */
export const mayHoldSecret = (key: string): boolean => /password|passphrase|secret|token/i.test(key);
const hidden = (key: string, value: unknown): unknown => (mayHoldSecret(key) ? '…' : value);

/** The value as it was written, shortened; what may hold a secret is never shown. */
export function showValue(value: unknown, secret = false): string {
  if (value === undefined) return 'nothing';
  if (value === '') return 'an empty value';
  if (secret) return 'a value that is not shown because it may hold a secret';
  const text = typeof value === 'string' ? value : JSON.stringify(value, hidden);
  return text.length > 80 ? `"${text.slice(0, 77)}…"` : `"${text}"`;
}
