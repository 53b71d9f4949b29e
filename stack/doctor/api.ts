/** The API: answers, is Muster's, is of this version, and has the right time. */
import type { HealthDocument } from '../../api/schemas/health';
import { apiUrl } from '../parts';
import { version } from '../version';
import { readWorkerStatus, statusEveryMs } from '../worker-status';
import type { Check } from './check';
import { judgeSkew, skewOf } from './clocks';
import { processRuns, type Place } from './place';
import { ok, problem, warning, type Finding } from './report';

interface Answer {
  readonly health: Partial<HealthDocument>;
  readonly skew: { readonly skewMs: number; readonly uncertaintyMs: number };
}

export function apiChecks(place: Place): Check[] {
  const { configuration } = place;
  const url = place.env['MUSTER_URL'] || apiUrl(configuration.api);
  if (!configuration.api.enabled && !place.env['MUSTER_URL']) return [];
  let asked: Promise<Answer | Error> | undefined;
  const answer = (): Promise<Answer | Error> =>
    (asked ??= ask(url, place.now).catch((error: unknown) =>
      error instanceof Error ? error : new Error(String(error)),
    ));
  return [
    {
      id: 'api.connection',
      title: `the API answers at ${url}`,
      look: async () => judgeAnswer(place, url, await answer()),
    },
    {
      id: 'clock.api',
      title: "the API's clock",
      look: async () => {
        const given = await answer();
        if (given instanceof Error || given.health.time === undefined) return undefined;
        return judgeSkew('the API', given.skew.skewMs, given.skew.uncertaintyMs);
      },
    },
  ];
}

async function ask(url: string, now: () => number): Promise<Answer> {
  let health: Partial<HealthDocument> = {};
  const skew = await skewOf(async () => {
    const response = await fetch(`${url}/api/v1/ready`, { signal: AbortSignal.timeout(4_000) });
    health = (await response.json()) as Partial<HealthDocument>;
    return Date.parse(health.time ?? '');
  }, now);
  return { health, skew };
}

function judgeAnswer({ configuration, upRuns, folder }: Place, url: string, answer: Answer | Error): Finding {
  const needed = `Muster ${version}`;
  if (answer instanceof Error) {
    const cause = (answer.cause ?? answer) as NodeJS.ErrnoException;
    const remedy = `Start it (\`muster up\` or \`muster api\`), or say where it is: MUSTER_URL. Its log is ${folder.logs}/api.log.`;
    const notExpected = !upRuns && configuration.temporal.embedded;
    if (notExpected && cause.code === 'ECONNREFUSED')
      return warning('not running', 'an answer', 'Start it: muster up.');
    const found = answer instanceof SyntaxError ? 'an answer that is not Muster’s' : (cause.code ?? cause.message);
    return problem(`${found} at ${url}`, needed, remedy);
  }
  const { health } = answer;
  if (health.version === undefined || health.parts === undefined) {
    return problem(`another program answers at ${url}`, needed, 'Set MUSTER_API_PORT, or MUSTER_URL to the right one.');
  }
  const missing = health.parts.filter((part) => !part.ok).map((part) => `${part.name}: ${part.detail}`);
  if (missing.length > 0) return problem(missing.join('; '), 'an API that reaches its parts', 'Mend these first.');
  if (health.version !== version) {
    return warning(`version ${health.version}`, needed, 'Run the same version everywhere: restart what is older.');
  }
  return ok(`version ${health.version}`, needed);
}

/** What the worker of this machine last said of itself; one elsewhere is seen by its queues alone. */
export function workerChecks(place: Place): Check[] {
  if (!place.configuration.worker.enabled) return [];
  const look = async (): Promise<Finding> => {
    const status = await readWorkerStatus(place.folder.workerStatusFile);
    const needed = 'a worker that polls';
    if (status === undefined) return ok('none has run from this data folder', needed);
    const aheadMs = Date.parse(status.at) - place.now();
    const about = `process ${status.pid}, ${status.state}`;
    if (!processRuns(status.pid)) {
      const gone = `${about} when last seen, does not run any more`;
      return place.upRuns ? problem(gone, needed, `Look at ${place.folder.logs}/worker.log.`) : ok(gone, needed);
    }
    if (aheadMs > 1_000) return judgeSkew('the worker', aheadMs);
    if (-aheadMs > 4 * statusEveryMs) {
      const silent = `${about}, silent for ${Math.round(-aheadMs / 1000)} s`;
      return problem(silent, needed, `It hangs, or its clock is behind. Look at ${place.folder.logs}/worker.log.`);
    }
    return ok(about, needed);
  };
  return [{ id: 'clock.worker', title: "this machine's worker, and its clock", look }];
}
