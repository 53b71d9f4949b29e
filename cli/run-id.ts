/** Which run is meant: its id, a part of it, `last` (the newest that belongs to no plan), or `PLAN/NAME`. */
import { isUuid } from '../model/ids';
import type { Client } from './client';
import type { PartView } from '../model/plan-view/parts';
import type { PlanView } from '../model/plan-view/plan-view';
import type { RunDetail, RunsDocument } from './documents';
import { CliError } from './exit-codes';

const fewestCharacters = 4;
/** Newest first; a plan may have thousands of runs, and each of them may be the one that waits. */
const aPage = 200;
const mostPages = 50;

/** NAME is a server or an included runbook. @throws CliError `not-found` when none fits, `usage` when several do. */
export async function findRunId(client: Client, text: string): Promise<string> {
  const slash = text.indexOf('/');
  if (slash > 0) return findWithin(client, await findRunId(client, text.slice(0, slash)), text.slice(slash + 1));
  const wanted = text.trim().toLowerCase();
  // A whole id needs no list, which may be away with Postgres.
  if (isUuid(wanted)) return wanted;
  if (wanted !== 'last' && wanted.length < fewestCharacters) {
    throw new CliError(
      'usage',
      `"${text}" is too short for a run: needed an id, ${fewestCharacters} or more characters of its start or end, or "last"`,
    );
  }
  const fitting = wanted === 'last' ? await newest(client) : await thoseWith(client, wanted);
  if (fitting.length === 1) return fitting[0]!.runId;
  if (fitting.length === 0) throw new CliError('not-found', `There is no run "${text}". \`muster runs\` lists them`);
  const ids = fitting.slice(0, 5).map(({ runId }) => runId);
  throw new CliError('usage', `"${text}" fits ${fitting.length} runs: ${ids.join(', ')}. Give more of the id`);
}

type Runs = RunsDocument['items'];

/** What somebody started: a plan has a run of its own for every server, each newer than the plan. */
const newest = async (client: Client): Promise<Runs> =>
  (await client.get<RunsDocument>('/runs?top=true&limit=1')).items;

/** From the first page that has any: what people mean is new. */
async function thoseWith(client: Client, part: string): Promise<Runs> {
  let after: string | undefined;
  for (let pages = 0; pages < mostPages; pages += 1) {
    const query = new URLSearchParams({ limit: String(aPage), ...(after === undefined ? {} : { after }) });
    const { items, next } = await client.get<RunsDocument>(`/runs?${query}`);
    const fitting = items.filter(({ runId }) => runId.startsWith(part) || runId.endsWith(part));
    if (fitting.length > 0 || next === undefined) return fitting;
    after = next;
  }
  return [];
}

/** What of a plan has a name of its own. */
interface Named {
  /** With the included runbooks that it is in: `network/dns01`. */
  readonly path: string;
  /** null: not begun. */
  readonly runId: string | null;
}

async function findWithin(client: Client, plan: string, path: string): Promise<string> {
  // Of a plan's own servers the rows tell, however many it has.
  const own = path.includes('/') ? undefined : await runOfServer(client, plan, path);
  if (own !== undefined) return own;
  const detail = await client.get<RunDetail>(`/runs/${plan}`);
  const all = detail.kind === 'plan' ? namedIn(topOf(detail.view)) : [];
  const whole = all.filter((one) => one.path === path);
  const fitting = whole.length > 0 ? whole : all.filter((one) => one.path.endsWith(`/${path}`));
  if (fitting.length > 1) {
    const paths = fitting.map((one) => one.path).join(', ');
    throw new CliError('usage', `Plan ${plan} has ${fitting.length} called ${path}: ${paths}. Say which one`);
  }
  if (fitting[0]?.runId != null) return fitting[0].runId;
  const found =
    fitting.length === 0 ? `has neither a server nor an included runbook ${path}` : `has no run of ${path} yet`;
  throw new CliError(
    'not-found',
    `Plan ${plan} ${found}. \`muster show ${plan}\` says what there is, and what it waits for`,
  );
}

async function runOfServer(client: Client, plan: string, server: string): Promise<string | undefined> {
  const query = new URLSearchParams({ parent: plan, server, limit: '1' });
  const { items } = await client.get<RunsDocument>(`/runs?${query}`).catch((error: unknown) => {
    if (error instanceof CliError && error.problem === 'not-found') return { items: [] };
    throw error;
  });
  return items[0]?.runId;
}

type Part = Pick<PartView, 'servers' | 'parts'>;

const topOf = ({ waves, parts }: PlanView): Part => ({ servers: waves.flatMap(({ servers }) => servers), parts });

const namedIn = ({ servers, parts }: Part, before = ''): Named[] => [
  ...servers.map(({ name, runId }) => ({ path: `${before}${name}`, runId })),
  ...parts.flatMap((part) => [
    { path: `${before}${part.name}`, runId: part.state === null ? null : part.runId },
    ...namedIn(part, `${before}${part.name}/`),
  ]),
];
