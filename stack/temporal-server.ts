/**
 * The embedded Temporal server: `temporal server start-dev` on an SQLite file.
 *
 * Sources of the settings: WAL with synchronous=NORMAL was 10 times quicker than SQLite's default in the one published
 * measurement (temporalite#26); the two history settings take a bare step from 50 to 16-20 ms and make short timers
 * fire on time (measured, server 1.31.2 on 2 cores); one task-queue partition lowers latency at this scale.
 */
import { startPart, type Part } from './part';

export interface TemporalOptions {
  readonly binary: string;
  /** Created when absent. The server does not migrate it: a file belongs to one version (start-dev has no migration). */
  readonly databaseFile: string;
  readonly host: string;
  readonly port: number;
  /** Port of Temporal's own web pages; null: none. */
  readonly uiPort: number | null;
  readonly namespace: string;
  readonly logFile: string;
}

export const dynamicConfig: Readonly<Record<string, string>> = {
  'history.transferProcessorMaxPollRPS': '1000',
  'history.timerProcessorMaxTimeShift': '"50ms"',
  'system.enableActivityEagerExecution': 'true',
  'matching.numTaskqueueReadPartitions': '1',
  'matching.numTaskqueueWritePartitions': '1',
  // A plan has a child workflow for each server; 2,000 is the default, and the command beyond it fails for good.
  'limit.numPendingChildExecutions.error': '5000',
  // A server costs it 20 events, and up to 20 more and two signals each time that it waits for people by itself (docs/scale.md).
  // The defaults are 51,200 events, 50 MB and 10,000 signals; beyond them Temporal ends the plan, or refuses to tell it anything.
  'limit.historyCount.error': '204800',
  'limit.historySize.error': '209715200',
  'history.maximumSignalsPerExecution': '100000',
};

export function temporalArgs(options: Omit<TemporalOptions, 'binary' | 'logFile'>): string[] {
  return [
    'server',
    'start-dev',
    ...['--ip', options.host, '--port', String(options.port)],
    ...(options.uiPort === null ? ['--headless'] : ['--ui-port', String(options.uiPort), '--ui-disable-news-fetch']),
    ...['--db-filename', options.databaseFile],
    ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
    ...['--namespace', options.namespace],
    ...['--log-level', 'warn', '--log-format', 'json'],
    ...Object.entries(dynamicConfig).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
  ];
}

/** Starts the server; it may take a second or two until it answers (temporal-check.ts). */
export function startTemporal(options: TemporalOptions): Part {
  return startPart({
    name: 'Temporal',
    file: options.binary,
    args: temporalArgs(options),
    logFile: options.logFile,
  });
}
