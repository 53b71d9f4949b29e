/**
 * The run of a runbook: a run of its own for every server, started when what it comes after is done, within the limits. The
 * servers' runs stay open until all are proven, so that abort can undo every one, the last started first.
 *
 * Ending this workflow from outside ends none of them: each then asks people for itself.
 */
import { condition } from '@temporalio/workflow';
import { planHeader, type PlanOrder, type ServerOfPlan } from '../model/plan';
import { planGraph, type PlanNode } from '../model/runbook/graph';
import { Scheduler } from '../model/runbook/scheduler';
import { ChildRuns, type ServerRecovered } from './plan-children';
import { planDeclaration } from './plan.steps';
import { rulesOfPlan } from './runner/access';
import { conductAny, type OrderKind, type RunOutcome } from './runner/conduct';
import { passGate } from './runner/gates';
import { Interrupted, type Run } from './runner/run';
import * as steps from './runner/steps';

const planOrders: OrderKind<PlanOrder> = {
  // Nothing of a plan can be corrected: its servers' runs are, each by itself.
  corrected: (order) => order,
  rules: rulesOfPlan,
  open: (run) =>
    run.emit(
      'plan-opened',
      { order: planHeader(run.order), declaration: run.declaration.name, versions: { temporalSdk: '1.24.0' } },
      { by: run.order.requestedBy },
    ),
};

export function plan(order: PlanOrder): Promise<RunOutcome> {
  const children = new ChildRuns(order);
  return conductAny(order, planDeclaration, planOrders, (run) => runPlan(run, children));
}

async function runPlan(run: Run<PlanOrder>, children: ChildRuns): Promise<string> {
  await recoverAll(run, children);
  await commit(run, children);
  const { servers, runbook } = run.order;
  return `${runbook.title}: ${children.count('succeeded')} of ${servers.length} servers recovered.`;
}

/** Every node in its time; the first interrupt ends them all. */
async function recoverAll(run: Run<PlanOrder>, children: ChildRuns): Promise<void> {
  const { order } = run;
  const servers = new Map(order.servers.map((server) => [server.name, server]));
  const scheduler = new Scheduler(
    planGraph({ ...order.plan, servers: order.servers, includes: [] }),
    order.plan.limits,
    (name) => ({
      siteId: servers.get(name)!.order.target.siteId,
      datastore: servers.get(name)!.datastore,
    }),
  );
  run.announce('recover');
  const running = new Set<Promise<void>>();
  let ended = 0;
  let failed: unknown = null;
  while (!scheduler.isOver && failed === null) {
    for (const node of scheduler.take()) {
      const work: Promise<void> = runNode(run, children, servers, node)
        .then(
          () => scheduler.end(node.id),
          (error: unknown) => void (failed ??= error),
        )
        .finally(() => {
          running.delete(work);
          ended += 1;
        });
      running.add(work);
    }
    const before = ended;
    await condition(() => ended > before || run.interrupt !== null);
    if (run.interrupt !== null) failed ??= new Interrupted();
  }
  await Promise.allSettled(running);
  if (failed !== null) throw failed;
  run.emit('step-done', { result: { servers: order.servers.length } }, { step: 'recover' });
}

async function runNode(
  run: Run<PlanOrder>,
  children: ChildRuns,
  servers: ReadonlyMap<string, ServerOfPlan>,
  node: PlanNode,
): Promise<void> {
  switch (node.kind) {
    case 'server':
      return recoverServer(run, children, servers.get(node.name)!);
    case 'open':
      return passWave(run, children, node.name);
    case 'wave':
    case 'include':
      return undefined;
  }
}

async function recoverServer(run: Run<PlanOrder>, children: ChildRuns, server: ServerOfPlan): Promise<void> {
  await steps.item<ServerRecovered | null, PlanOrder>(
    run,
    { step: 'recover', item: server.name },
    (input) => children.recover(server, input.effect),
    {
      undo: () => children.undo(server.name),
      whenSkipped: null,
      isException: (recovered) => recovered?.state === 'failed',
    },
  );
}

async function passWave(run: Run<PlanOrder>, children: ChildRuns, wave: string): Promise<void> {
  const { plan, servers, mode } = run.order;
  const name = plan.waves.find((one) => one.name === wave)?.gate;
  const gate = name == null ? undefined : plan.gates[name];
  if (name == null || gate === undefined || !gate.in.includes(mode)) return;
  run.announce('gate');
  const inWave = servers.filter((server) => server.wave === wave).map((server) => server.name);
  await passGate(run, { step: 'gate', item: wave }, gate, {
    name,
    proven: `${children.count('proven')} of ${servers.length} servers are proven`,
    next: `wave ${wave} starts (${inWave.length} ${inWave.length === 1 ? 'server' : 'servers'})`,
  });
}

async function commit(run: Run<PlanOrder>, children: ChildRuns): Promise<void> {
  await steps.step(run, 'commit', () => children.commit(), {
    gate: async () => ({
      question: 'Commit: the recovered servers are the ones from now on. Roll back: everything as before.',
      because: `${children.count('proven')} of ${run.order.servers.length} servers are proven.`,
      allowed: ['commit', 'roll-back'],
    }),
    irrevocable: true,
  });
}
