/** All activities of a site's worker, from one factory. */
import { recorded } from './attempt';
import type { Recorded, RecoveryActivities, SessionActivities, SiteActivities } from './contract';
import { createCleanUpEffects } from './clean-up-effects';
import { createDiskEffects } from './disk-effects';
import { createHandOverEffects } from './hand-over-effects';
import { createMachineAnswers } from './machine-answers';
import { createMachineEffects } from './machine-effects';
import { createNetworkEffects } from './network-effects';
import { createPreflight } from './preflight';
import { createProof } from './proof';
import { createReadinessAnswers } from './readiness-answers';
import { createReplicaEffects } from './replica-effects';
import { createScriptEffects } from './scripts/effects';
import { createSessionActivities } from './session';
import { createSiteAnswers } from './site-answers';
import type { ActivityDeps } from './site';

export function createActivities(
  deps: ActivityDeps,
): Recorded<RecoveryActivities> & SessionActivities & SiteActivities {
  const effects = {
    ...createPreflight(deps),
    ...createReplicaEffects(deps),
    ...createHandOverEffects(deps),
    ...createDiskEffects(deps),
    ...createMachineEffects(deps),
    ...createProof(deps),
    ...createNetworkEffects(deps),
    ...createCleanUpEffects(deps),
    ...createScriptEffects(deps),
  };
  return {
    ...recorded<RecoveryActivities>(effects, deps),
    ...createSessionActivities(deps),
    ...createMachineAnswers(deps),
    ...createSiteAnswers(deps),
    ...createReadinessAnswers(deps),
  };
}
