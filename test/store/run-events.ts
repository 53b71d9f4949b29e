/** Events as a workflow emits them, for tests of the record. */
import { v7 as uuidv7 } from 'uuid';
import type { EventData, EventKind, RunEvent } from '../../model/events';
import type { Provenance, RecoveryOrder } from '../../model/order';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import { defaultScope, type Batch } from '../../store/contract';

export const anna: Provenance = {
  actor: { kind: 'person', id: 'p-1', name: 'Anna', role: 'operator' },
  authMethod: 'token',
  requestId: 'req-1',
  address: '127.0.0.1',
};

export function at(second: number): string {
  return new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
}

export function event<K extends EventKind>(
  kind: K,
  data: EventData[K],
  more: Partial<Omit<RunEvent, 'kind' | 'data'>> = {},
): RunEvent {
  return { kind, data, at: at(0), by: anna, step: null, item: null, attempt: null, ...more } as RunEvent;
}

export function serverSpec(change: Partial<ServerSpec> = {}): ServerSpec {
  return {
    id: 's-1',
    name: 'app01',
    tier: 1,
    os: { family: 'linux', distribution: 'debian' },
    firmware: 'bios',
    cpuCount: 1,
    memoryBytes: 512 * 1024 * 1024,
    disks: [{ id: 'disk0', index: 0, sizeBytes: 1024 ** 3, controller: 'sata', sourceDevice: 'sda' }],
    nics: [{ index: 0, macAddress: '52:54:00:00:00:01', model: 'e1000', network: 'office' }],
    objectives: { rpoMs: 60_000, rtoMs: 600_000 },
    source: { siteId: 'source', machineName: 'app01' },
    recoverySiteId: 'recovery',
    cadence: { pointEveryMs: 5_000, freezeEveryMs: 60_000, keepPoints: 10 },
    probes: [],
    ...change,
  };
}

export function order(runId: string, server: ServerSpec = serverSpec()): RecoveryOrder {
  return {
    runId,
    ...defaultScope,
    procedure: 'push-button-recovery',
    mode: 'recovery',
    intent: 'disaster',
    option: 'destructive',
    server,
    point: 'latest',
    finalCycle: 'auto',
    sourceDeadlineMs: 5_000,
    target: {
      siteId: 'recovery',
      machineName: 'app01',
      hardware: hardwareProfiles['vmware-pvscsi']!,
      firmware: 'bios',
      cpuCount: 1,
      memoryBytes: 512 * 1024 * 1024,
      networks: { office: 'recovery' },
    },
    inoculate: true,
    powerOn: 'automatic',
    proof: { heartbeatTimeoutMs: 60_000, stableForMs: 5_000, screenshot: true },
    retry: { maxAttempts: 3, firstDelayMs: 100, factor: 2, maxDelayMs: 1_000 },
    reminderMs: 60_000,
    lostAt: null,
    requestedAt: at(0),
    requestedBy: anna,
    reason: 'the site is gone',
  };
}

export function opened(runId: string, second = 0, server?: ServerSpec): RunEvent {
  return event(
    'run-opened',
    { order: order(runId, server), declaration: 'push-button-recovery', versions: {} },
    { at: at(second) },
  );
}

export function closed(second = 100): RunEvent {
  return event('run-closed', { state: 'succeeded', summary: 'Recovered.', childHashes: {} }, { at: at(second) });
}

export function noted(message: string, second = 1): RunEvent {
  return event('noted', { message }, { at: at(second) });
}

export function batch(runId: string, flush: number, events: readonly RunEvent[]): Batch {
  return { ...defaultScope, runId, parentRunId: null, flush, events };
}

export const newRunId = (): string => uuidv7();
