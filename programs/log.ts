/**
 * What is being done now, for log lines. An effect runs inside `whileDoing`; whoever writes a line meanwhile, however deep
 * below, has run, step and attempt on it (stack/process-log.ts asks `doingNow`). And where each program's end is noted.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { shownArguments } from './redact';

/** Plain values, so that a line stays one line. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

const doing = new AsyncLocalStorage<LogFields>();

/** Runs `work` with these fields on every line that it writes; they add to those around it. */
export function whileDoing<T>(fields: LogFields, work: () => T): T {
  return doing.run({ ...doing.getStore(), ...fields }, work);
}

/** The fields of what is being done by the caller; empty outside of any. */
export function doingNow(): LogFields {
  return doing.getStore() ?? {};
}

/** What pino offers, and a test. */
export interface ProgramLog {
  debug(fields: object, message: string): void;
}

export interface ProgramEnd {
  readonly program: string;
  readonly args: readonly string[];
  readonly exitCode: number | undefined;
  readonly durationMs: number;
  /** How it ended, where not by itself. */
  readonly reason?: string;
}

let log: ProgramLog | undefined;

/** Where the ends of programs are noted from now on; undefined: nowhere. Once in a process. */
export function logProgramsTo(target: ProgramLog | undefined): void {
  log = target;
}

export function noteProgram({ program, args, exitCode, durationMs, reason }: ProgramEnd): void {
  const fields = {
    program,
    args: shownArguments(args),
    exitCode: exitCode ?? null,
    durationMs: Math.round(durationMs),
  };
  log?.debug(reason === undefined ? fields : { ...fields, reason }, 'a program ended');
}
