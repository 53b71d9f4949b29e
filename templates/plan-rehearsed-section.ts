/** What the report of a runbook's rehearsal shows of isolation and clean-up: a row for each server, and the networks of them all. */
import { formatTime } from '../model/durations';
import { shortId } from '../model/ids';
import type { PlanReport } from '../model/plan-report';
import type { PlanRehearsed, RehearsedServer } from '../model/plan-rehearsed';
import type { CleanFacts, RehearsedFacts } from '../model/rehearsed-facts';
import type { Chip } from './words';

export function planRehearsedSection({ rehearsed, closed }: Pick<PlanReport, 'rehearsed' | 'closed'>) {
  if (rehearsed === null) {
    return { given: false, sentence: '', servers: [], networks: '', networksMissing: false, sites: [] };
  }
  const { servers, networks } = rehearsed;
  const isolated = servers.filter((one) => one.rehearsed?.isolation != null).length;
  const clean = servers.filter((one) => one.rehearsed?.clean?.verdict === 'clean').length;
  return {
    given: true,
    sentence: `Of ${servers.length} servers ${isolated} were shown to be isolated as they ran, and ${clean} left nothing behind.`,
    servers: servers.map((one) => serverRow(one, closed)),
    ...networkWords(networks, closed),
    sites: networks.gone.map(({ siteId, gone, lookedAt }) => ({
      ...{ siteId, names: gone.join(', '), lookedAt: formatTime(lookedAt) },
    })),
  };
}

function serverRow({ name, within, runId, rehearsed }: RehearsedServer, closed: boolean) {
  const row = {
    name: within.length === 0 ? name : `${name} (${within.join(', ')})`,
    ...{ runId: runId ?? '', short: runId === null ? '' : shortId(runId) },
  };
  if (rehearsed === null) {
    const unknown: Chip = { text: runId === null ? 'not rehearsed' : 'in its own report', tone: 'quiet' };
    return { ...row, isolation: unknown, isolated: '', clean: unknown, compared: '', left: [] };
  }
  const left = (rehearsed.clean?.left ?? []).map(
    ({ kind, name: item, before, after }) => `${kind} ${item}: before ${before ?? 'not there'}, after ${after ?? 'not there'}`,
  );
  return { ...row, ...isolationCell(rehearsed.isolation, closed), ...cleanCell(rehearsed.clean, closed), left };
}

const missing = (closed: boolean): Chip =>
  closed ? { text: 'not shown', tone: 'bad' } : { text: 'not yet', tone: 'quiet' };

function isolationCell(isolation: RehearsedFacts['isolation'], closed: boolean): { isolation: Chip; isolated: string } {
  if (isolation === null) return { isolation: missing(closed), isolated: '' };
  const { cards, networks, at } = isolation;
  const on = networks.length === 0 ? '' : ` on ${networks.join(', ')}`;
  const isolated = `${cards} ${cards === 1 ? 'card' : 'cards'}${on}, at ${formatTime(at)}`;
  return { isolation: { text: 'isolated', tone: 'good' }, isolated };
}

function cleanCell(clean: CleanFacts | null, closed: boolean): { clean: Chip; compared: string } {
  if (clean === null) return { clean: missing(closed), compared: '' };
  const at = formatTime(clean.at);
  if (clean.verdict === 'clean') {
    const noted = clean.because === null ? '' : `. ${clean.because}`;
    const compared = `${clean.items ?? 0} ${clean.items === 1 ? 'item' : 'items'} compared, at ${at}${noted}`;
    return { clean: { text: 'nothing left', tone: 'good' }, compared };
  }
  return { clean: { text: 'not proven clean', tone: 'bad' }, compared: `${clean.because ?? ''} (${at})` };
}

function networkWords({ made, gone }: PlanRehearsed['networks'], closed: boolean) {
  if (made === null) return { networks: 'No networks were made for this run.', networksMissing: false };
  const left = made.filter((name) => !gone.some((site) => site.gone.includes(name)));
  const names = `Made for this run: ${made.join(', ') || 'none'}.`;
  if (left.length === 0) return { networks: `${names} All of them are gone.`, networksMissing: false };
  const still = closed
    ? `The record does not show that these are gone: ${left.join(', ')}.`
    : `Still to be removed: ${left.join(', ')}.`;
  return { networks: `${names} ${still}`, networksMissing: closed };
}
