export { plan } from './plan';
export { pushButtonRecovery } from './push-button-recovery';
export { rehearsalCleanUp } from './rehearsal';
export { replicationSession } from './replication-session';
export {
  discoverServer,
  examineReadiness,
  releaseMachine,
  viewMachines,
  viewReplicas,
  viewSite,
} from './site-questions';
