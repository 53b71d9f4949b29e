/** Which run is meant: its id, a part of it, `last` (the newest that belongs to no plan), or a server within a plan. */
import { isUuid } from '../model/ids';
import type { Client } from './client';
import type { RunsDocument } from './documents';
import { CliError } from './exit-codes';

const fewestCharacters = 4;
/** Newest first; a plan may have thousands of runs, and each of them may be the one that waits. */
const aPage = 200;
const mostPages = 50;

/** `PLAN/SERVER` is the server's latest run in that plan. @throws CliError `not-found` when none fits, `usage` when several do. */
export async function findRunId(client: Client, text: string): Promise<string> {
  const slash = text.indexOf('/');
  if (slash > 0) return findOfServer(client, await findRunId(client, text.slice(0, slash)), text.slice(slash + 1));
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

async function findOfServer(client: Client, plan: string, server: string): Promise<string> {
  const query = new URLSearchParams({ parent: plan, server, limit: '1' });
  const { items } = await client.get<RunsDocument>(`/runs?${query}`);
  if (items[0] !== undefined) return items[0].runId;
  throw new CliError(
    'not-found',
    `Plan ${plan} has no run of ${server} yet. \`muster show ${plan}\` says what it waits for`,
  );
}
