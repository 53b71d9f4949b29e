/** The system's packages: what is not found is installed with apt-get, or named with the command that does it. */
import { findProgram, run } from '../shared/programs.mjs';
import { CannotProvide } from './step.mjs';
import { systemPackages } from './system-packages.mjs';

/** The step; `packages` can be given by tests. */
export function debianPackages(packages = systemPackages) {
  const lacking = (context) =>
    packages.filter((one) => (context.scope === 'quick' ? one.quick : true) && !isThere(one, context.env));
  return {
    name: 'system packages',
    scopes: ['quick', 'demo', 'all'],
    missing: async (context) => lacking(context).map((one) => describe(one, context.env)),
    provide: async (context) =>
      install(
        lacking(context).map((one) => one.name),
        context,
      ),
  };
}

function isThere(one, env) {
  return one.found ? one.found() : missingPrograms(one, env).length === 0;
}

function missingPrograms(one, env) {
  return (one.programs ?? []).filter((program) => !findProgram(program, env));
}

function describe(one, env) {
  const programs = missingPrograms(one, env);
  return programs.length === 0 ? one.name : `${one.name} (${programs.join(', ')})`;
}

/** @throws CannotProvide without root, or without apt-get; ProgramFailed when apt-get fails. */
export async function install(names, context) {
  const command = `apt-get update && apt-get install --no-install-recommends -y ${names.join(' ')}`;
  const apt = findProgram('apt-get', context.env);
  if (!apt)
    throw new CannotProvide(
      `There is no apt-get here: install what these Debian packages hold by your system's own means: ${names.join(' ')}.`,
      `sudo sh -c '${command}' (on Debian)`,
    );
  if (!context.isRoot)
    throw new CannotProvide(`Installing system packages needs root: ${names.join(' ')}.`, `sudo sh -c '${command}'`, {
      needsRoot: true,
    });
  const options = { logPath: context.logPath(), env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 30 * 60_000 };
  await run(apt, ['update'], options);
  await run(apt, ['install', '--no-install-recommends', '-y', ...names], options);
}
