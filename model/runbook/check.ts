/**
 * Everything that can be wrong with a runbook and that its form does not say: names that lead nowhere, cycles, two servers that
 * want one name or one address, limits and approvals that can never be met.
 *
 * Reads the file as it was written (schema/runbook.ts), so that every place is a place in its text.
 */
import type { RunbookFile } from '../schema/runbook';
import type { AccessScope, Role } from '../people';
import type { OperatingSystem } from '../server';
import { checkEvacuation } from './check-evacuation';
import { checkGates, checkNotifications } from './check-people';
import { checkLimits } from './check-limits';
import { checkOrder } from './check-order';
import { checkPatience } from './check-patience';
import { checkScripts } from './check-scripts';
import { checkServers } from './check-servers';
import type { RunbookToChoose } from './evacuation';
import type { RunbookProblem } from './problems';
import type { StepMoments } from './script-places';

/** What the checks know of the installation; null where it could not be asked, which is then said instead of guessed. */
export interface Inventory {
  readonly servers: ReadonlyMap<string, InventoryServer>;
  readonly sites: ReadonlyMap<string, InventorySite>;
  /** Names of imported runbooks, and what each of them includes. */
  readonly runbooks: ReadonlyMap<string, readonly string[]>;
  /** The same with what an evacuation chooses by; absent where the file evacuates nothing. */
  readonly choosable?: readonly RunbookToChoose[];
  /** Those that scripts may stand at, in their order. */
  readonly steps: readonly string[];
  /** What scripts may do at each of them; absent: not known. */
  readonly moments?: ReadonlyMap<string, StepMoments>;
  /** null where they are not known. */
  readonly webhooks: readonly string[] | null;
  /** Programs that workers may run, by the names that scripts use. */
  readonly programs: readonly string[] | null;
  /** Who could log in now, by name. */
  readonly people: ReadonlyMap<string, { readonly role: Role; readonly scopes?: readonly AccessScope[] }>;
}

export interface InventoryServer {
  readonly name: string;
  readonly recoverySiteId: string;
  /** Where it stands; absent where that is not known. */
  readonly sourceSiteId?: string;
  /** Source network of each card. */
  readonly networks: readonly string[];
  readonly tier: number;
  readonly objectives: { readonly rpoMs: number; readonly rtoMs: number };
  /** Absent where it is not known. */
  readonly os?: Pick<OperatingSystem, 'family' | 'prettyName'>;
}

export interface InventorySite {
  readonly networks: ReadonlyMap<string, { readonly isolated: boolean }> | null;
  readonly hardware: readonly string[] | null;
  /** Its physical machines, as configured; absent where they are not known. */
  readonly machines?: readonly { readonly name: string; readonly hardware: string }[];
}

/** Without an inventory only what the text itself tells is checked (`muster runbook check --offline`). */
export function checkRunbook(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  return once([
    ...checkOrder(file, inventory),
    ...checkEvacuation(file, inventory),
    ...checkServers(file, inventory),
    ...checkLimits(file, inventory),
    ...checkPatience(file, inventory),
    ...checkGates(file, inventory),
    ...checkNotifications(file, inventory),
    ...checkScripts(file, inventory),
  ]);
}

/** What is wrong at one place for many servers is wrong once. */
function once(problems: readonly RunbookProblem[]): RunbookProblem[] {
  const keys = problems.map(({ at, found, needed }) => JSON.stringify([at, found, needed]));
  return [...new Map(problems.map((problem, index) => [keys[index], problem])).values()];
}
