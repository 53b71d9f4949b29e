import type { Migration } from './migration';
import { record } from './001-record';
import { runs } from './002-runs';
import { people } from './003-people';
import { runbooks } from './004-runbooks';
import { rehearsals } from './005-rehearsals';
import { notifications } from './006-notifications';
import { waiting } from './007-waiting';
import { risks } from './008-risks';
import { plans } from './009-plans';
import { runTimes } from './010-run-times';
import { textsAgain } from './011-texts-again';

/** Every migration, in the order of its number. */
export const migrations: readonly Migration[] = [
  record,
  runs,
  people,
  runbooks,
  rehearsals,
  notifications,
  waiting,
  risks,
  plans,
  runTimes,
  textsAgain,
];

/** The schema that this version of Muster knows. */
export const knownVersion = migrations.at(-1)!.version;
