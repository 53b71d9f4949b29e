/**
 * A program that waits where the test wants it to: what takes milliseconds is met with certainty. It stands before the real
 * one on the path of the system's processes.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface HeldProgram {
  /** A folder for the system's path. */
  readonly path: string;
  /** From now on it waits before it does that. */
  hold(): void;
  /** One waits now. */
  waits(): boolean;
  /** Who waits goes on, and whoever comes later. */
  letGo(): void;
}

/**
 * `program` as it is found on this machine's path, held where its arguments have these words in this order. Several may stand
 * in one folder; each is held and let go by itself.
 */
export function heldProgram(folder: string, program: string, ...words: [string, ...string[]]): HeldProgram {
  const path = join(folder, 'held');
  const [held, waiting] = [join(path, `${program}.hold`), join(path, `${program}.waits`)];
  mkdirSync(path, { recursive: true, mode: 0o755 });
  const script = `#!/bin/sh
case "$*" in
*${words.map((word) => `"${word}"*`).join('')})
  while [ -e ${held} ]; do
    : > ${waiting}
    sleep 0.05
  done
  ;;
esac
PATH=\${PATH#${path}:} exec ${program} "$@"
`;
  writeFileSync(join(path, program), script, { mode: 0o755 });
  return {
    path,
    hold: () => writeFileSync(held, ''),
    waits: () => existsSync(waiting),
    letGo: () => rmSync(held, { force: true }),
  };
}
