/**
 * Who may do what: one table, role by operation. An operation that is not here does not compile as a route, and a route
 * that is not here fails test/api/door.test.ts.
 */
import { actingRoles } from '../model/people';
import type { Role } from '../store/contract';

const everybody: readonly Role[] = ['viewer', 'auditor', 'operator', 'coordinator', 'admin'];
const recovers = actingRoles;
const plans: readonly Role[] = ['coordinator', 'admin'];
const administers: readonly Role[] = ['admin'];
/** Screenshots and consoles may show what a viewer has no need to see. */
const examines: readonly Role[] = ['auditor', 'operator', 'coordinator', 'admin'];

export const authorisation = {
  whoAmI: everybody,
  readMetrics: everybody,
  listServers: everybody,
  getServer: everybody,
  addServer: plans,
  removeServer: plans,
  protectServer: plans,
  pauseProtection: recovers,
  resumeProtection: recovers,
  removeProtection: plans,
  reverseProtection: plans,
  listReplicas: everybody,
  getReplica: everybody,
  getReadiness: everybody,
  getRunbookReadiness: everybody,
  getServerReadiness: everybody,
  askReadiness: recovers,
  askRunbookReadiness: recovers,
  askServerReadiness: recovers,
  listSchedules: everybody,
  actOnSchedule: plans,
  listMachines: everybody,
  releaseMachine: plans,
  checkRunbook: everybody,
  planRunbook: everybody,
  planEvacuation: everybody,
  importRunbook: plans,
  listRunbooks: everybody,
  getRunbook: everybody,
  startRecovery: recovers,
  cleanUpRehearsal: recovers,
  startPlan: recovers,
  holdPlan: recovers,
  letPlanGoOn: recovers,
  listRuns: everybody,
  getRun: everybody,
  streamRunEvents: everybody,
  decide: recovers,
  getDecision: everybody,
  abortRun: recovers,
  withdrawAbort: recovers,
  closeRun: plans,
  listStuck: everybody,
  getReport: everybody,
  getEvidence: examines,
  listNotifications: examines,
  testNotification: administers,
  issueToken: administers,
  listTokens: ['auditor', 'admin'],
  revokeToken: administers,
} as const satisfies Record<string, readonly Role[]>;

export type Operation = keyof typeof authorisation;

/** Operations without a token: what a load balancer and a newcomer need. */
export const openOperations = ['health', 'ready', 'openapi'] as const;

export function mayDo(role: Role, operation: Operation): boolean {
  return (authorisation[operation] as readonly Role[]).includes(role);
}
