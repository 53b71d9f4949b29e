/** `muster up` as a real process on a data folder and ports of its own, with two simulated sites. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../../stack/ports';

const entry = resolve(__dirname, '../stack/entry.ts');

export interface StackHome {
  readonly dataFolder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly apiPort: number;
  remove(): void;
}

/** A folder with a configuration; nothing is started. */
export async function stackHome(): Promise<StackHome> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-stack-'));
  const file = join(folder, 'muster.yaml');
  writeFileSync(file, 'sites: [{ id: recovery, kind: simulated }]\nsources: [{ id: production, kind: simulated }]\n');
  // Postgres runs as an unprivileged user when the tests run as root.
  chmodSync(folder, 0o711);
  const dataFolder = join(folder, 'data');
  const [apiPort, temporalPort, postgresPort] = [await freePort(), await freePort(), await freePort()];
  return {
    dataFolder,
    apiPort,
    env: {
      ...process.env,
      MUSTER_CONFIG: file,
      MUSTER_DATA_FOLDER: dataFolder,
      MUSTER_API_PORT: String(apiPort),
      MUSTER_TEMPORAL_PORT: String(temporalPort),
      MUSTER_POSTGRES_PORT: String(postgresPort),
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface StackProcess {
  readonly child: ChildProcess;
  /** Everything it printed so far, both streams. */
  output(): string;
  /** Resolves when the text was printed; rejects when the process ends before. */
  prints(text: string | RegExp): Promise<void>;
  readonly ended: Promise<number | null>;
}

/** Starts `up` (or another of the stack's commands). */
export function startStackProcess(home: StackHome, command = 'up'): StackProcess {
  const child = spawn(process.execPath, ['--require', 'tsx/cjs', entry, command], { env: home.env });
  let output = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      for (const look of waiting) look();
    });
  }
  const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  return {
    child,
    ended,
    output: () => output,
    prints: (text) =>
      new Promise((done, fail) => {
        const look = (): void => {
          if (typeof text === 'string' ? !output.includes(text) : !text.test(output)) return;
          waiting.delete(look);
          done();
        };
        waiting.add(look);
        look();
        void ended.then(() => fail(new Error(`It ended without printing ${String(text)}:\n${output}`)));
      }),
  };
}

/** Processes whose command line or environment names the folder: what a stack on it has left running. */
export function processesOf(home: StackHome): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({ pid: Number(name), command: readProc(name, 'cmdline'), env: readProc(name, 'environ') }))
    .filter(({ command, env }) => command.includes(home.dataFolder) || env.includes(home.dataFolder))
    .map(({ pid, command }) => ({ pid, command: command.replaceAll('\0', ' ') }));
}

/** SIGKILL to all of them; one may end meanwhile, for instance because its parent was killed. */
export function killProcessesOf(home: StackHome): void {
  for (const { pid } of processesOf(home)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
