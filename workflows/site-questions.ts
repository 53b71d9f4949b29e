/** Short questions to a site, one activity each, so that the API needs no way of its own to a site. */
import { proxyActivities } from '@temporalio/workflow';
import type { SiteActivities } from '../activities/contract';
import type { MachineRelease } from '../model/machine-holding';
import type { ReadinessQuestion } from '../model/readiness/site-readiness';
import { siteQueue } from './messages';

const ask = (siteId: string): SiteActivities =>
  proxyActivities<SiteActivities>({
    taskQueue: siteQueue(siteId),
    startToCloseTimeout: '60s',
    heartbeatTimeout: '10s',
    scheduleToStartTimeout: '15s',
    retry: { maximumAttempts: 1 },
  });

export function discoverServer(input: {
  recoverySiteId: string;
  sourceSiteId: string;
  machineName: string;
}): ReturnType<SiteActivities['discoverServer']> {
  return ask(input.recoverySiteId).discoverServer(input);
}

export function viewReplicas(input: { siteId: string }): ReturnType<SiteActivities['viewReplicas']> {
  return ask(input.siteId).viewReplicas(input);
}

export function viewSite(input: { siteId: string }): ReturnType<SiteActivities['viewSite']> {
  return ask(input.siteId).viewSite(input);
}

export function examineReadiness(input: ReadinessQuestion): ReturnType<SiteActivities['examineReadiness']> {
  return ask(input.siteId).examineReadiness(input);
}

export function viewMachines(input: { siteId: string }): ReturnType<SiteActivities['viewMachines']> {
  return ask(input.siteId).viewMachines(input);
}

export function endHold(input: {
  siteId: string;
  serverId: string;
  runId: string;
}): ReturnType<SiteActivities['endHold']> {
  return ask(input.siteId).endHold(input);
}

export function releaseMachine(input: MachineRelease): ReturnType<SiteActivities['releaseMachine']> {
  return ask(input.siteId).releaseMachine(input);
}
