/**
 * Secrets in this process's environment, kept from the programs that it starts: a child's environment can be read by
 * whoever the child runs as, and stands in its core files.
 */
import { secretVariablePrefix } from '../model/secrets';

const held: Record<string, string> = {};

const isSecret = (name: string): boolean => name.startsWith(secretVariablePrefix) || name === 'MUSTER_TOKEN';

/**
 * The MUSTER_SECRET_ variables of this process, which are no longer in `process.env` afterwards. May be called again:
 * the answer is the same. To be called before the first program is started.
 */
export function takeSecretVariables(): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith(secretVariablePrefix) || value === undefined) continue;
    held[name] = value;
    delete process.env[name];
  }
  return held;
}

/** What a program gets unless it needs more: no secrets, and messages in English, which are read. */
export const childEnvironment = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...withoutSecretVariables(process.env),
  LC_ALL: 'C.UTF-8',
  ...more,
});

/** An environment without secrets, for programs that need none of them. */
export function withoutSecretVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !isSecret(name)));
}
