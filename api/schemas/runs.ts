import { z } from '@hono/zod-openapi';
import { sureness } from '../../model/estimate/expected';
import { decisionKinds, runStates, stepStates } from '../../model/steps';
import { modes, verifications } from '../../model/order';
import {
  cpuCount,
  machineName,
  memoryBytes,
  networks,
  overwriteDisks,
  pageQuery,
  pointRef,
  positiveMilliseconds,
  reason,
  serverRef,
  stepRef,
  time,
  unlockKeys,
} from './common';
import { runbookName } from './runbooks';

export const runRowSchema = z
  .object({
    runId: z.string(),
    parentRunId: z.string().nullable().openapi({ description: 'The plan that it belongs to' }),
    procedure: z.string(),
    mode: z.enum(modes),
    serverId: z.string(),
    serverName: z.string().openapi({ description: 'Of a plan: the name of its runbook' }),
    runbook: z.string().nullable(),
    runbookVersion: z.int().nullable(),
    runbookSha256: z.string().nullable(),
    children: z
      .partialRecord(z.enum(runStates), z.int())
      .nullable()
      .openapi({ description: 'Of a plan: how many of its runs are in which state' }),
    state: z.enum(runStates),
    currentStep: z.string().nullable(),
    stuckSince: time.nullable(),
    requestedBy: z.string(),
    startedAt: time,
    closedAt: time.nullable(),
    notice: z.string().nullable().openapi({ description: 'That no worker takes its next step, and since when' }),
  })
  .openapi('RunRow');
export const runsSchema = z
  .object({ items: z.array(runRowSchema), next: z.string().optional() })
  .openapi('Runs', { description: '`next` is absent on the last page' });
export type RunsDocument = z.infer<typeof runsSchema>;

export const runsQuery = pageQuery.extend({
  state: z.enum(runStates).optional(),
  server: serverRef.optional().openapi({ description: 'Id or name' }),
  runbook: runbookName.optional().openapi({ description: 'Only plans of this runbook' }),
  parent: z.uuid().optional().openapi({ description: 'Only what belongs to this plan' }),
  top: z.enum(['true', 'false']).optional().openapi({ description: 'Only runs that belong to no plan' }),
});

const clocks = z.object({ elapsedMs: z.number(), machineMs: z.number(), waitingMs: z.number() });
const actor = z.looseObject({ kind: z.string(), id: z.string(), name: z.string(), role: z.string().optional() });
const provenance = z.looseObject({
  actor,
  authMethod: z.string(),
  requestId: z.string(),
  address: z.string(),
});
const failure = z.looseObject({
  family: z.string(),
  message: z.string(),
  remedy: z.string().nullable(),
  detail: z.string().nullable(),
});
const evidence = z.looseObject({
  at: time,
  what: z.string(),
  evidence: z.object({ sha256: z.string(), name: z.string(), mediaType: z.string(), sizeBytes: z.int() }),
});
const attempt = z.looseObject({
  item: z.string().nullable(),
  attempt: z.int(),
  undo: z.boolean(),
  startedAt: time,
  endedAt: time.nullable(),
  durationMs: z.number().nullable(),
  outcome: z.string(),
  failure: failure.nullable(),
});
export const parkingSchema = z
  .looseObject({
    epoch: z.int().openapi({ description: 'Names this waiting; a decision answers exactly one' }),
    step: z.string(),
    item: z.string().nullable(),
    kind: z.enum(['stuck', 'gate']),
    undo: z.boolean(),
    since: time,
    until: time.nullable().openapi({ description: 'null: waits now' }),
    waitingMs: z.number(),
    cause: z.string(),
    remedy: z.string(),
    allowed: z.array(z.enum(decisionKinds)),
  })
  .openapi('Parking');
const decision = z.looseObject({
  at: time,
  by: provenance,
  step: z.string().nullable(),
  decision: z.enum(decisionKinds),
  reason: z.string(),
});
const stepSchema = z
  .looseObject({
    id: z.string(),
    position: z.int(),
    title: z.string(),
    state: z.enum(stepStates),
    because: z.string().nullable(),
    startedAt: time.nullable(),
    endedAt: time.nullable(),
    clocks,
    items: z.array(z.object({ item: z.string(), state: z.enum(stepStates), attempts: z.int() })),
    attempts: z.array(attempt),
    parkings: z.array(parkingSchema),
    decisions: z.array(decision),
    evidence: z.array(evidence),
  })
  .openapi('Step');

export const runViewSchema = z
  .looseObject({
    runId: z.string(),
    procedure: z.string(),
    state: z.enum(runStates),
    currentStep: z.string().nullable(),
    summary: z.string().nullable(),
    openedAt: time,
    closedAt: time.nullable(),
    clocks,
    halfAbort: z
      .looseObject({ by: z.object({ id: z.string(), name: z.string() }), at: time, reason: z.string() })
      .nullable()
      .openapi({ description: 'An abort that needs four eyes and has two' }),
    steps: z.array(stepSchema),
    parkings: z.array(parkingSchema),
    decisions: z.array(decision),
    evidence: z.array(evidence),
    eventCount: z.int(),
  })
  .openapi('RunView');

export const progressSchema = z
  .object({
    activity: z.string(),
    activityId: z.string(),
    progress: z.object({
      label: z.string(),
      done: z.number(),
      total: z.number().nullable(),
      unit: z.enum(['bytes', 'items', 'percent']),
      ratePerSecond: z.number().nullable(),
      timeLeftMs: z.number().nullable(),
    }),
    at: time.nullable(),
  })
  .openapi('ActivityProgress');

export const actSchema = z
  .object({
    requestId: z.string(),
    runId: z.string(),
    act: z.string().openapi({ description: 'The decision, or `abort`' }),
    step: z.string().nullable(),
    by: z.string(),
    at: time,
    state: z
      .enum(['accepted', 'refused', 'pending', 'lost'])
      .openapi({ description: 'pending: no worker has taken it; lost: send it again under the same request id' }),
    message: z.string().nullable(),
  })
  .openapi('Act');
export type ActDocument = z.infer<typeof actSchema>;

export const closedRunsSchema = z
  .object({
    runId: z.string(),
    closed: z
      .array(z.object({ runId: z.string(), serverName: z.string() }))
      .openapi({ description: 'It, and of a plan the runs below it that were open: the last that was started first' }),
    stillHeld: z
      .array(z.object({ runId: z.string(), serverName: z.string(), because: z.string() }))
      .openapi({ description: 'Those whose hold on the replica could not be ended: close the run again' }),
  })
  .openapi('ClosedRuns');
export type ClosedRuns = z.infer<typeof closedRunsSchema>;

const timeLeftSchema = z
  .object({
    until: z
      .enum(['proof', 'end'])
      .openapi({ description: 'To the proof of what is recovered; once that is there, to the end of the run' }),
    ms: z.number().nullable().openapi({ description: 'The usual; null: unknown' }),
    lowMs: z.number().nullable().openapi({ description: 'One of ten runs is quicker' }),
    highMs: z.number().nullable().openapi({ description: 'One of ten runs is slower' }),
    atLeast: z.boolean().openapi({ description: 'Some of what is left never ran here' }),
    neverRan: z.int().openapi({ description: 'Servers of which no past run tells anything' }),
    runs: z.int().openapi({ description: 'Past runs behind it, where they are fewest' }),
    from: z.enum(['this server', 'servers of similar size']).nullable(),
    sure: z.enum(sureness).nullable(),
    unknown: z.string().nullable().openapi({ description: 'Why nothing can be said' }),
  })
  .openapi('TimeLeft', { description: "Of the machine's work, from past runs; what people take is not in it" });

export const runDetailSchema = z
  .object({
    runId: z.string(),
    kind: z
      .enum(['server', 'plan'])
      .openapi({ description: 'Of a plan the view has `waves`, `parts` and `tiers`, too' }),
    serverName: z.string().openapi({ description: 'Of a plan: the name of its runbook' }),
    source: z
      .enum(['live', 'journal'])
      .openapi({ description: 'Who answered: the running workflow itself, or the record' }),
    notice: z.string().nullable().openapi({ description: 'What a reader should know about this answer' }),
    view: runViewSchema,
    timeLeft: timeLeftSchema.nullable().openapi({ description: 'null: the run is closed' }),
    progress: z.array(progressSchema),
    acts: z.array(actSchema).openapi({ description: "People's acts that were not answered at once" }),
  })
  .openapi('RunDetail');

export const decisionSchema = z
  .strictObject({
    step: stepRef,
    item: stepRef.nullable().optional().openapi({ description: 'Disk id, where the step has one per disk' }),
    epoch: z.int().positive().optional().openapi({ description: 'Default: the parking of that step now' }),
    decision: z.enum(decisionKinds),
    reason,
    from: stepRef.nullable().default(null).openapi({ description: 'Go back to this earlier step' }),
    input: z
      .strictObject({
        machineName,
        memoryBytes,
        cpuCount,
        networks,
        point: pointRef,
        inoculate: z.boolean(),
        heartbeatTimeoutMs: positiveMilliseconds.min(1000),
        verify: z.enum(verifications),
        overwriteDisks,
        unlockKeys,
      })
      .partial()
      .nullable()
      .default(null)
      .openapi({ description: 'Corrected fields of the order' }),
  })
  .openapi('Decision');
export type DecisionInput = z.input<typeof decisionSchema>;

export const eventSchema = z
  .object({
    sequence: z.int(),
    kind: z.string(),
    at: time,
    by: provenance,
    step: z.string().nullable(),
    item: z.string().nullable(),
    attempt: z.int().nullable(),
    data: z.unknown(),
  })
  .openapi('RunEvent');
