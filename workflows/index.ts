export { pushButtonRecovery } from './push-button-recovery';
export { replicationSession } from './replication-session';
export { discoverServer, viewReplicas } from './site-questions';
