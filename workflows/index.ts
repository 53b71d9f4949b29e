export { plan } from './plan';
export { planCleanUp } from './plan-clean-up';
export { pushButtonRecovery } from './push-button-recovery';
export { rehearsalCleanUp } from './rehearsal';
export { replicationSession } from './replication-session';
export { scheduledRehearsal } from './scheduled-rehearsal';
export {
  discoverServer,
  endHold,
  examineReadiness,
  releaseMachine,
  viewMachines,
  viewReplicas,
  viewSite,
} from './site-questions';
