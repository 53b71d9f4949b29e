/** Looks at every process of the machine again and again: argument lists and environments. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Search } from './canaries';

export interface Watch {
  /** How often everything was looked at. */
  readonly rounds: number;
  stop(): void;
}

/** `mayHave`: processes, by argument list, whose environment is the secret's own home; their argument list is searched all the same. */
export function watchProcesses(search: Search, mayHave: (command: string) => boolean): Watch {
  let rounds = 0;
  const look = (): void => {
    rounds++;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const command = read(pid, 'cmdline');
      const shown = command.toString().replaceAll('\0', ' ').slice(0, 120);
      search.in(`argument list of ${shown}`, command);
      if (!mayHave(shown)) search.in(`environment of ${shown}`, read(pid, 'environ'));
    }
  };
  look();
  const timer = setInterval(look, 250);
  return {
    get rounds() {
      return rounds;
    },
    stop() {
      clearInterval(timer);
      look();
    },
  };
}

function read(pid: string, file: string): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch {
    return Buffer.alloc(0);
  }
}
