/** A plan as events and rows, of any number of servers: some done, one stuck, one failed, the rest running or ahead. */
import type { RunEvent } from '../../model/events';
import type { PlanContext } from '../../model/orders/build-plan';
import { planHeader, type PlanOrder } from '../../model/plan';
import type { ChildRun } from '../../model/plan-view/child-run';
import { nextFacts, type RunFacts } from '../../model/run-facts';
import type { Told } from '../../model/told';
import { sampleRunbook, samplePlan } from './plan-sample';
import { ines, storyRunId, storyStart, tomas } from './order';

const startMs = Date.parse(storyStart);
export const at = (second: number): string => new Date(startMs + second * 1000).toISOString();

type Part = Partial<Pick<RunEvent, 'step' | 'item' | 'attempt' | 'by'>>;
export const event = (kind: string, second: number, data: object, part: Part = {}): RunEvent =>
  ({ kind, at: at(second), by: ines, step: null, item: null, attempt: null, data, ...part }) as RunEvent;

/** A runbook with one wave of so many servers after the database. */
export function largeRunbook(count: number): string {
  const servers = Array.from({ length: count }, (_one, index) => `      - { name: node${index + 1} }\n`).join('');
  const wave = `  - name: many\n    after: [data]\n    servers:\n${servers}`;
  return sampleRunbook.replace('gates:\n', `${wave}gates:\n`);
}

export interface PlanStory {
  readonly order: PlanOrder;
  readonly events: readonly RunEvent[];
  readonly children: readonly ChildRun[];
  /** As the outbox has it: none of it is in any run's own record. */
  readonly told: readonly Told[];
}

const told: readonly Told[] = [
  { occasion: 'gate', epoch: 1, stage: 0, to: 'ops@example.org', state: 'sent', endedAt: at(73), error: null },
  { occasion: 'gate', epoch: 1, stage: 1, to: 'on-call@example.org', state: 'failed', endedAt: at(99), error: '550' },
].map((one) => ({ ...one, channel: 'mail', madeAt: at(63) }) as Told);

/** db01 proven after 60 s; db02 failed; app01 waited 100 s at its gate and is stuck; the others run, or wait. */
export function planStory(text = sampleRunbook, changes: Partial<PlanContext> = {}): PlanStory {
  const order = samplePlan({ runId: storyRunId, requestedAt: at(0), ...changes }, text);
  const attempt = (item: string, second: number): RunEvent =>
    event('attempt-started', second, { token: second, undo: false }, { step: 'recover', item, attempt: 1 });
  const done = (item: string, second: number, token: number): RunEvent =>
    event('attempt-succeeded', second, { token, undo: false, result: null, durationMs: 1 }, { step: 'recover', item });
  const gate = { step: 'gate', item: 'application' };
  const question = { question: 'Are the data good?', allowed: ['approve', 'abort'], because: 'Data: before wave app.' };
  const approve = { epoch: 1, decision: 'approve', reason: 'Counted the orders.', from: null, input: null };
  const events = [
    event('plan-opened', 0, { order: planHeader(order), declaration: 'plan', versions: { temporalSdk: '1' } }),
    event('step-announced', 0, { title: 'Recover the servers' }, { step: 'recover' }),
    attempt('db01', 1),
    attempt('db02', 2),
    done('db01', 60, 1),
    event('gate-opened', 61, { epoch: 1, ...question }, gate),
    event('held', 70, { of: { kind: 'wave', name: 'web' }, reason: 'Wait for the network team.' }, { by: tomas }),
    done('db02', 100, 2),
    event('decided', 161, approve, { ...gate, by: tomas }),
    attempt('app01', 162),
  ];
  const children = order.servers.flatMap(({ name }) => childOf(order, name));
  return { order, events, children, told };
}

function childOf(order: PlanOrder, name: string): ChildRun[] {
  const planned = order.servers.find((server) => server.name === name)!.order;
  const take = (...events: RunEvent[]): RunFacts =>
    [event('run-opened', 1, { order: planned, declaration: 'p', versions: {} }), ...events].reduce<
      RunFacts | undefined
    >(nextFacts, undefined)!;
  const point = { point: { pointId: 'p-1', takenAt: at(-12), consistency: 'crash', clockSkewMs: 0 } };
  const freeze = [
    event('step-announced', 2, { title: 'Freeze' }, { step: 'freeze' }),
    event('step-done', 5, { result: point }, { step: 'freeze' }),
  ];
  const row = (state: ChildRun['state'], facts: RunFacts, second: number, more: Partial<ChildRun> = {}): ChildRun => ({
    ...{ runId: planned.runId, parentRunId: order.runId, procedure: planned.procedure, state, facts },
    ...{ serverId: planned.server.id, serverName: name, currentStep: null, stuckSince: null, closedAt: null },
    ...{ startedAt: at(second), ...more },
  });
  const proof = { rungs: [], provenAt: at(60) };
  const proven = [
    event('step-announced', 6, { title: 'Prove' }, { step: 'prove-boot' }),
    event('step-done', 60, { result: proof }, { step: 'prove-boot' }),
  ];
  switch (name) {
    case 'db01':
      return [row('running', take(...freeze, ...proven), 1, { currentStep: 'await-plan' })];
    case 'db02':
      return [
        row('failed', take(...freeze, event('undo-started', 90, { because: 'gave up' })), 2, { closedAt: at(100) }),
      ];
    case 'app01': {
      const parked = {
        epoch: 1,
        undo: false,
        failure: { message: 'no space' },
        allowed: ['retry'],
        remedy: 'Make some.',
      };
      const facts = take(...freeze, event('parked', 170, parked, { step: 'take-disks' }));
      return [row('stuck', facts, 162, { currentStep: 'take-disks', stuckSince: at(170) })];
    }
    default:
      return name.startsWith('node') && Number(name.slice(4)) <= 40
        ? [row('running', take(...freeze), 110, { currentStep: 'inoculate' })]
        : [];
  }
}
