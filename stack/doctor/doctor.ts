/** `muster doctor`: every check of this machine and of what its configuration names, with nothing running or everything. */
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Configuration } from '../../config/configuration';
import { loadConfiguration } from '../../config/load';
import { ConfigurationError, describeProblem } from '../../config/problems';
import { version } from '../version';
import { accelerationChecks } from './acceleration';
import { apiChecks, workerChecks } from './api';
import { runChecks, type Check } from './check';
import { folderChecks } from './folders';
import { libvirtUserChecks } from './libvirt-user';
import { machineChecks } from './machines';
import { placeFor, type Place } from './place';
import { postgresChecks } from './postgres';
import { programChecks } from './programs';
import { ok, problem, reportOf, warning, type Report } from './report';
import { secretChecks } from './secrets';
import { siteChecks } from './sites';
import { spaceChecks } from './space';
import { temporalChecks } from './temporal';
import { toolChecks } from './tools';

export interface DoctorOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** UTC milliseconds. Default: the system's clock. */
  readonly now?: () => number;
}

/** Examines and changes nothing that stays. Never throws for what it finds. */
export async function examine(options: DoctorOptions = {}): Promise<Report> {
  const env = options.env ?? process.env;
  const now = options.now ?? Date.now;
  const read = readConfiguration(env);
  const about = { version, at: new Date(now()).toISOString(), host: hostname(), user: userInfo().username };
  const scratchFolder = await mkdtemp(join(tmpdir(), 'muster-doctor-'));
  try {
    const checks =
      'failure' in read
        ? [check('configuration', 'the configuration', read.failure)]
        : [
            ...configurationChecks(read.configuration),
            ...everyCheck(await placeFor(read.configuration, { env, now }), scratchFolder),
          ];
    return reportOf(about, await runChecks(checks));
  } finally {
    await rm(scratchFolder, { recursive: true, force: true });
  }
}

/** In the order in which a person reads them: what Muster stands on first. */
function everyCheck(place: Place, scratchFolder: string): Check[] {
  return [
    ...toolChecks(place),
    ...accelerationChecks(place, scratchFolder),
    ...folderChecks(place),
    ...secretChecks(place),
    ...programChecks(place),
    ...libvirtUserChecks(place),
    ...spaceChecks(place),
    ...postgresChecks(place),
    ...temporalChecks(place),
    ...apiChecks(place),
    ...workerChecks(place),
    ...siteChecks(place, scratchFolder),
    ...machineChecks(place),
  ];
}

function configurationChecks(configuration: Configuration): Check[] {
  const { file, unknownVariables } = configuration;
  const source = file === null ? 'environment and defaults' : `${file} and the environment`;
  const unknown = warning(
    `${unknownVariables.join(', ')}: no variable of Muster`,
    'variables of docs/configuration.md',
    'Correct the name or unset it: it is ignored.',
  );
  return [check('configuration', 'the configuration', unknownVariables.length === 0 ? ok(source) : unknown)];
}

type Read = { readonly configuration: Configuration } | { readonly failure: ReturnType<typeof problem> };

function readConfiguration(env: NodeJS.ProcessEnv): Read {
  try {
    return { configuration: loadConfiguration(env) };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const remedy = 'Correct it; the other checks need it. docs/configuration.md has every setting.';
    return {
      failure: problem(error.problems.map(describeProblem).join(' '), 'a configuration without mistakes', remedy),
    };
  }
}

function check(id: string, title: string, finding: ReturnType<typeof problem>): Check {
  return { id, title, look: async () => finding };
}
