/** What people are told of a site that has no worker, and of one that has one again. */
import type { Notice } from './notice';

export interface SiteAbsence {
  readonly siteId: string;
  /** How often it has been without one; counts this time. */
  readonly absences: number;
  /** When a worker last asked for work, UTC. */
  readonly since: string;
}

export const siteKey = (siteId: string): string => `site/${siteId}`;

export const noWorkerWords = (siteId: string, since: string): string => `No worker for site ${siteId} since ${since}`;

const startOne = 'Start one there (`muster up` or `muster worker`), or look why it ended: its log, its host.';

/** Wherever runs of the site are shown. */
export const standstillWords = (siteId: string, since: string): string =>
  `${noWorkerWords(siteId, since)}: its runs stand still. ${startOne}`;

export function siteNotice({ siteId, absences, since }: SiteAbsence, over: boolean): Notice {
  const cause = over
    ? 'It has a worker again; its runs go on.'
    : `${noWorkerWords(siteId, since)}: its runs stand still.`;
  const remedy = over ? '' : startOne;
  const common = { step: null, item: null, allowed: [], state: null, run: null };
  return {
    ...{ key: siteKey(siteId), epoch: absences, occasion: 'risk', stage: over ? 1 : 0 },
    facts: { ...common, name: `Site ${siteId}`, since, cause, remedy, over },
  };
}
