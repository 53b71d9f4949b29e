/** Postgres: answers, is new enough, is migrated, and lets the application add to the journal and change nothing in it. */
import { readPostgresUrl } from '../../config/postgres-url';
import { ConfigurationError } from '../../config/problems';
import { databaseCondition, type DatabaseCondition } from '../../store/condition';
import { asProblem, type Check } from './check';
import { judgeSkew, skewOf } from './clocks';
import type { Place } from './place';
import { ok, problem, warning, type Finding } from './report';

const oldestMajor = 14;

export function postgresChecks(place: Place): Check[] {
  // One conversation for all questions; each check waits for it under its own deadline.
  let asked: ReturnType<typeof ask> | undefined;
  const answer = (): ReturnType<typeof ask> => (asked ??= ask(place));
  const about = (judge: (condition: DatabaseCondition) => Finding) => async (): Promise<Finding | undefined> => {
    const { condition } = await answer();
    return condition && judge(condition);
  };
  return [
    {
      id: 'postgres.connection',
      title: 'Postgres answers',
      async look() {
        const { condition, failure } = await answer();
        return condition === undefined ? failure! : judgeVersion(condition);
      },
    },
    { id: 'postgres.schema', title: "the database's schema", look: about(judgeSchema) },
    { id: 'postgres.rights', title: 'rights on the journal', look: about(judgeRights) },
    {
      id: 'clock.postgres',
      title: "Postgres' clock",
      async look() {
        const { skew } = await answer();
        return skew && judgeSkew('Postgres', skew.skewMs, skew.uncertaintyMs);
      },
    },
  ];
}

async function ask(place: Place): Promise<{
  condition?: DatabaseCondition;
  skew?: { skewMs: number; uncertaintyMs: number };
  failure?: Finding;
}> {
  try {
    const url = readPostgresUrl(place.configuration);
    let condition: DatabaseCondition | undefined;
    const skew = await skewOf(async () => (condition = await databaseCondition(url)).clockMs, place.now);
    return { condition: condition!, skew };
  } catch (error) {
    return { failure: unreachable(place, error) };
  }
}

/** The embedded server is only missed while a `muster up` runs. */
function unreachable({ configuration, upRuns, folder }: Place, error: unknown): Finding {
  const { embedded } = configuration.postgres;
  if (embedded && !upRuns) return warning('not running', 'an answer', 'Start it: muster up.');
  const finding =
    error instanceof ConfigurationError
      ? problem(error.problems[0]!.found, error.problems[0]!.needed, error.problems[0]!.remedy)
      : asProblem(error);
  return embedded
    ? { ...finding, remedy: `${finding.remedy} Its log is ${folder.logs}/postgres.log.`.trim() }
    : finding;
}

function judgeVersion({ where, serverVersion }: DatabaseCondition): Finding {
  const needed = `Postgres ${oldestMajor} or later`;
  const found = `Postgres ${serverVersion} at ${where}`;
  if (Number.parseInt(serverVersion, 10) >= oldestMajor) return ok(found, needed);
  return problem(found, needed, 'Upgrade it, or point MUSTER_POSTGRES_URL_FILE at another server.');
}

/** @internal exported for its test */
export function judgeSchema({ schemaVersion, neededSchemaVersion }: DatabaseCondition): Finding {
  const needed = `version ${neededSchemaVersion}`;
  if (schemaVersion === neededSchemaVersion) return ok(`version ${schemaVersion}`, needed);
  if (schemaVersion === null) {
    return warning('not migrated', needed, 'Run `muster prepare`, or start `muster up` or a worker, which migrate it.');
  }
  if (schemaVersion < neededSchemaVersion) {
    return warning(`version ${schemaVersion}`, needed, 'Run `muster prepare`, or start a worker of this version.');
  }
  const remedy = 'Start the version of Muster that migrated it, or a later one.';
  return problem(`version ${schemaVersion}, which is newer`, needed, remedy);
}

/** @internal exported for its test */
export function judgeRights({ journal }: DatabaseCondition): Finding {
  const needed = 'to add and read, not to change';
  if (journal === null) return ok('no journal yet', needed);
  const { role, insert, read, change } = journal;
  const may = [insert ? 'add' : '', read ? 'read' : '', change ? 'change' : ''].filter((word) => word !== '');
  const found = `${role} may ${may.join(', ') || 'nothing'}`;
  if (!insert || !read) {
    return problem(found, needed, `Run as the database's owner: grant select, insert on muster.journal to ${role};`);
  }
  if (!change) return ok(found, needed);
  const remedy =
    'The triggers of the journal still refuse changes. Let a login that may create roles run `muster prepare` once, so that the application works as muster_app.';
  return warning(found, needed, remedy);
}
