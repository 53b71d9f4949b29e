/**
 * What a step of set-up is, and how one is run.
 *
 * A step: {name, scopes, missing(context), provide(context, what)}. `missing` looks for what is needed and returns what is
 * not there, in words (nothing: ready). `provide` makes it so, or throws. After it `missing` is asked again.
 */
import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cacheRoot, readableFolder } from '../shared/cache.mjs';
import { adminPath } from '../shared/programs.mjs';

/** Something that set-up cannot do by itself; `command` is the exact command that would. */
export class CannotProvide extends Error {
  constructor(message, command, { needsRoot = false } = {}) {
    super(message);
    this.command = command;
    this.needsRoot = needsRoot;
  }
}

/** What the steps share. `say` prints one line; `logPath()` is made when first asked for. */
export function makeContext({ scope, quiet, env = process.env, say = (line) => process.stderr.write(`${line}\n`) }) {
  let log;
  const isRoot = process.getuid?.() === 0;
  return { scope, quiet, env: { ...env, PATH: adminPath(env) }, isRoot, say, logPath: () => (log ??= openLog(env)) };
}

function openLog(env) {
  let folder;
  try {
    folder = readableFolder(cacheRoot(env));
    writeFileSync(path.join(folder, 'setup.log'), '');
  } catch {
    folder = mkdtempSync(path.join(tmpdir(), 'muster-setup-'));
  }
  const file = path.join(folder, 'setup.log');
  appendFileSync(file, `Muster set-up, ${new Date().toISOString()}\n`);
  return file;
}

/** Runs one step; returns undefined when all is there at the end, else the problem {step, message, command, needsRoot}. */
export async function runStep(step, context) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  try {
    const before = await step.missing(context);
    if (before.length === 0) {
      if (!context.quiet) context.say(`  ready  ${step.name}`);
      return undefined;
    }
    context.say(`  .....  ${step.name}: ${before.join(', ')}`);
    await step.provide(context, before);
    const after = await step.missing(context);
    if (after.length > 0) throw new CannotProvide(`Still missing after set-up did its part: ${after.join(', ')}.`);
    context.say(`  done   ${step.name} (${seconds()} s)`);
    return undefined;
  } catch (error) {
    context.say(`  FAILED ${step.name} (${seconds()} s)`);
    return { step: step.name, message: error.message, command: error.command, needsRoot: error.needsRoot === true };
  }
}
