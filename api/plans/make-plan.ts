/** The plan that a runbook is today: read, checked against what there is now, and made into one complete order. */
import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { buildPlan, type OrderProblem, type PlanContext, type ReadyRunbook } from '../../model/orders/build-plan';
import type { PlanOrder } from '../../model/plan';
import type { Runbook } from '../../model/runbook/runbook';
import { runbookOf } from '../../model/schema/normalise';
import type { RunbookFile } from '../../model/schema/runbook';
import type { ApiDeps } from '../deps';
import type { Known } from '../known-runbooks';
import { Problem } from '../problems';
import { checkText, hasErrors } from '../runbooks/check';
import { noSuchRunbook, runbookRefused, textRefused, wordsOf } from '../runbooks/refused';
import { within } from '../within';

export interface RunbookText {
  readonly text: string;
  /** 0: of no imported version. */
  readonly version: number;
  readonly sha256: string;
}

/** @throws Problem `not-found` with near names or the versions; `part-unavailable` when Postgres does not answer. */
export async function storedText(
  { store, config }: Pick<ApiDeps, 'store' | 'config'>,
  name: string,
  version: number | undefined,
): Promise<RunbookText> {
  const ask = <T>(question: Promise<T>): Promise<T> =>
    within(config.storeDeadlineMs, question).catch((error: unknown) => {
      const remedy = 'Bring Postgres back, or start it from its file (`muster run FILE --mode recovery --reason …`)';
      const message = `Runbook "${name}" cannot be read: Postgres does not answer. ${remedy}`;
      throw new Problem('part-unavailable', message, {}, { cause: error });
    });
  const stored = await ask(store.runbooks.find(name, version));
  if (stored !== undefined) return stored;
  const versions = await ask(store.runbooks.versions(name));
  throw await noSuchRunbook(name, version, versions, () => ask(store.runbooks.index()));
}

/** A text that came with the request: of the version that has it, else of none. */
export async function givenText(
  { store, config, log }: Pick<ApiDeps, 'store' | 'config' | 'log'>,
  name: string,
  text: string,
): Promise<RunbookText> {
  const sha256 = createHash('sha256').update(text).digest('hex');
  try {
    const versions = await within(config.storeDeadlineMs, store.runbooks.versions(name));
    return { text, sha256, version: versions.find((one) => one.sha256 === sha256)?.version ?? 0 };
  } catch (error) {
    log.warn({ err: error, runbook: name }, 'Postgres did not say which version this text is');
    return { text, sha256, version: 0 };
  }
}

export interface ReadPlan {
  readonly file: RunbookFile;
  readonly make: Made;
  /** What whoever starts it should know: what was taken as it was last read. */
  readonly notices: readonly string[];
}

export type Made = (context: Omit<PlanContext, 'newRunId'>) => PlanOrder;

/**
 * Checks the text as an import does, and again what has changed since; then says how to make the order, and whose it is.
 *
 * @throws Problem `runbook-errors` with every problem and its place; for what only the order shows, with the server's name.
 */
export async function readPlan(
  deps: ApiDeps,
  { servers, runbooks }: Known,
  name: string,
  { text, version, sha256 }: RunbookText,
): Promise<ReadPlan> {
  const { file, problems, asked } = await checkText(deps, text, { estimate: false });
  if (file === undefined) throw textRefused(notStarted(name), problems);
  if (file.name !== name) {
    const message = `The text is of runbook "${file.name}", not of "${name}". Send it under its own name`;
    throw new Problem('validation', message, { issues: [{ at: 'body.text', message }] });
  }
  // What the order itself shows is said with names, below; a server that is gone is both. Whom it asks and tells can be mended
  // while it runs, and no recovery waits for that.
  const inTheWay = problems.filter(({ canWait }) => canWait !== true);
  if (hasErrors(inTheWay)) throw textRefused(notStarted(name), inTheWay);
  const { ready, lastReadAt } = await runbooks.included(file.includes.map(({ runbook }) => runbook));
  // With Postgres down: as they were last read.
  const isRemembered = asked?.inventory == null;
  const known = isRemembered ? servers.remembered(namesOf(runbookOf(file), ready)) : asked.servers;
  const inventory = {
    servers: new Map(known.map((server) => [server.name, server])),
    runbooks: ready,
    physicalMachines: deps.config.physicalMachines ?? {},
  };
  const make: Made = (context) => {
    const built = buildPlan({ runbook: runbookOf(file), version, sha256 }, inventory, { ...context, newRunId: uuidv7 });
    if ('problems' in built) throw orderRefusal(name, built.problems);
    return built.ok;
  };
  return { file, make, notices: noticesOf(isRemembered, ready, lastReadAt) };
}

/** Of the runbook and of all that it includes. */
const namesOf = (runbook: Runbook, included: ReadonlyMap<string, ReadyRunbook>): string[] => [
  ...new Set(
    [runbook, ...[...included.values()].map((one) => one.runbook)].flatMap(({ servers }) =>
      servers.map(({ name }) => name),
    ),
  ),
];

function noticesOf(
  isRemembered: boolean,
  included: ReadonlyMap<string, ReadyRunbook>,
  lastReadAt: string | null,
): string[] {
  const names = [...included].map(([name, { version }]) => `${name} (version ${version})`).join(', ');
  return [
    ...(isRemembered
      ? ['Postgres does not answer: servers are taken as they were last read, and names were not checked.']
      : []),
    ...(lastReadAt === null ? [] : [`Included runbooks are taken as they were last read, at ${lastReadAt}: ${names}.`]),
  ];
}

const notStarted = (name: string): string => `Runbook "${name}" was not started`;

function orderRefusal(name: string, problems: readonly OrderProblem[]): Problem {
  const issues = problems.map(({ runbook, server, ...words }) => ({ at: server ?? runbook, message: wordsOf(words) }));
  return runbookRefused(notStarted(name), issues);
}
