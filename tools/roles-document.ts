/** docs/roles.md's table, made from the tables that the door decides by. */
import { authorisation, type Operation } from '../api/authorisation';
import { reaches } from '../api/reach';
import { fillBetween, table } from '../config/documentation';
import { roles } from '../model/people';

export function rolesDocument(page: string): string {
  const rows = (Object.keys(authorisation) as Operation[]).map((operation) => {
    const allowed = authorisation[operation] as readonly string[];
    return [`\`${operation}\``, ...roles.map((role) => (allowed.includes(role) ? 'yes' : '–')), placeOf(operation)];
  });
  return fillBetween(page, 'operations', table(['operation', ...roles, 'the role has to hold'], rows));
}

function placeOf(operation: Operation): string {
  const reach = reaches[operation];
  if (reach === 'nothing') return 'anywhere';
  if (reach === 'everything') return 'everywhere';
  if (reach === 'filtered') return 'shows what is where it holds';
  switch (reach.of) {
    case 'server':
      return 'at the server’s recovery site';
    case 'run':
      return 'at the run’s recovery sites, or at a runbook that it is part of';
    case 'runbook':
      return 'at the runbook, or at all its sites';
    case 'text':
      return `at every server, site and included runbook of the text${reach.version === undefined ? '' : '; without a text as getRunbook'}`;
    case 'import':
      return 'at the sites of every server and included runbook of the text, and of the runbook as it is';
    case 'site':
      return 'at the site';
  }
}
