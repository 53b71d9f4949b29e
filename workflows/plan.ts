/**
 * The run of a runbook: a run of its own for every server, and for every runbook that it includes, started when what it comes
 * after is done, within the limits. They stay open until all are proven, so that abort can undo every one, each when everything
 * that depends on it is undone.
 *
 * Ending this workflow from outside ends none of them: each then asks people for itself.
 */
import { patched } from '@temporalio/workflow';
import { planHeader, withoutServersOfParts, type PlanHeader, type PlanOrder, type ServerOfPlan } from '../model/plan';
import type { NodeId, PlanNode } from '../model/runbook/graph';
import type { Recovered } from './plan-child';
import { ChildRuns } from './plan-children';
import { commitPlan } from './plan-commit';
import { HeldPlaces } from './plan-holds';
import { dispensableMsOf, orderOfPart, orderOfServer, type ChildOrder } from './plan-orders';
import { PlacesAbove } from './plan-places-above';
import { PlacesHere, type RoomOfPlan } from './plan-places';
import { cleanUp, makeNetworks, tryOut } from './plan-rehearsal';
import { scriptsOfWave, scriptsOfWavesDone } from './plan-scripts';
import { nodeOf, placeOfNode, undoPlan } from './plan-undo';
import { provenWords, standingOf, succeededWords } from './plan-standing';
import { declarationOfPlan } from './plan.steps';
import { walk } from './plan-walk';
import { rulesOfPlan } from './runner/access';
import { conductAny, type OrderKind, type RunOutcome } from './runner/conduct';
import { passGate } from './runner/gates';
import type { Input, Run } from './runner/run';
import * as steps from './runner/steps';
import { listenToPlan } from './runner/verdict';

const planOrders = (children: ChildRuns): OrderKind<PlanOrder> => ({
  // Nothing of a plan can be corrected: its servers' runs are, each by itself.
  corrected: (order) => order,
  rules: rulesOfPlan,
  unwind: (order, undos, undoOne) => undoPlan(order, undos, undoOne, (id) => children.stuckInUndo(id)),
  open: (run) =>
    run.emit(
      'plan-opened',
      { order: headerOf(run.order), declaration: run.declaration.name, versions: { temporalSdk: '1.24.0' } },
      { by: run.order.requestedBy },
    ),
});

/** How much of the record goes together follows from its size: what an earlier version began goes on as it wrote. */
function headerOf(order: PlanOrder): PlanHeader {
  const header = planHeader(order);
  return order.parts.length === 0 || patched('names-servers-of-parts') ? header : withoutServersOfParts(header);
}

export function plan(order: PlanOrder): Promise<RunOutcome> {
  const children = new ChildRuns(order);
  const held = new HeldPlaces();
  const room = order.placesFrom === undefined ? new PlacesHere(order) : new PlacesAbove(order, order.placesFrom);
  return conductAny(order, declarationOfPlan(order), planOrders(children), (run) => runPlan(run, children, held, room));
}

async function runPlan(run: Run<PlanOrder>, children: ChildRuns, held: HeldPlaces, room: RoomOfPlan): Promise<string> {
  const { order } = run;
  run.waitingChildren = () => children.waiting();
  run.stillWaiting = () => children.waitingStill();
  run.childHashes = () => children.hashes();
  run.leftByRuns = () => children.left();
  children.onWaits = (name, runId, waits) => {
    if (waits === null) return run.emit('child-goes-on', { runId }, { item: name });
    const { step, kind, cause } = waits;
    run.emit('child-waits', { runId, step, kind, cause }, { item: name });
  };
  // A rehearsal never keeps people busy while a server of it is recovered.
  children.onGaveWay = ({ reason, by }) => {
    if (run.canAbort) run.abort(reason, by, { gaveWay: true });
  };
  // It ends with the first of its runs that waited too long, so that it keeps nothing and nobody from the next rehearsal.
  children.onGaveUp = (id, name, { afterMs, cause }) => {
    if (run.canAbort) run.giveUp(placeOfNode(id), 0, afterMs, `${name}: ${cause}`);
  };
  children.onOver = (id, runId) => {
    if (id.startsWith('include:')) room.partOver(runId);
    // Undone, it has no place any more, also while others of this plan are not undone yet.
    else if (run.phase === 'undoing') room.end(id.slice('server:'.length));
  };
  const parent = order.partOf === undefined ? null : listenToPlan(run, order.partOf, () => standingOf(run, children));

  const networks = order.mode === 'rehearsal' ? () => makeNetworks(run) : null;
  // Earlier versions could not be held before.
  const isHoldable = networks === null || patched('held-before-its-networks');
  if (!isHoldable) await networks();
  await recoverAll(run, children, { held, room, before: isHoldable ? networks : null });
  await parent?.commit('await-plan');
  if (order.mode === 'rehearsal') {
    if (parent === null) await tryOut(run, children);
    await cleanUp(run, children);
  } else {
    await commitPlan(run, children, parent !== null);
  }
  return `${order.runbook.title}: ${succeededWords(order, children)}.`;
}

interface Way {
  readonly held: HeldPlaces;
  readonly room: RoomOfPlan;
  /** What is done before the first server; it can be held meanwhile. */
  readonly before: (() => Promise<void>) | null;
}

async function recoverAll(run: Run<PlanOrder>, children: ChildRuns, { held, room, before }: Way): Promise<void> {
  const { order } = run;
  const servers = new Map(order.servers.map((server) => [server.name, server]));
  const parts = new Map(order.parts.map((part) => [part.name, part]));
  const announce = (): void => {
    run.announce('recover');
    if (parts.size > 0) run.announce('include');
  };
  const begin = before && (() => before().then(announce));
  if (begin === null) announce();
  const perform = async (node: PlanNode): Promise<void> => {
    switch (node.kind) {
      case 'server':
        return recoverServer(run, children, servers.get(node.name)!);
      case 'include':
        return recover(run, children, node.id, (isFirst) => orderOfPart(order, parts.get(node.name)!, isFirst));
      case 'open':
        await passWave(run, children, node.name);
        return scriptsOfWave(run, node.name, 'before');
      case 'wave':
        return scriptsOfWave(run, node.name, 'after');
    }
  };
  await walk(run, children, held, room, { begin, perform });
  run.emit('step-done', { result: { servers: servers.size } }, { step: 'recover' });
  if (parts.size > 0) run.emit('step-done', { result: { runbooks: parts.size } }, { step: 'include' });
  scriptsOfWavesDone(run);
}

function recoverServer(run: Run<PlanOrder>, children: ChildRuns, server: ServerOfPlan): Promise<void> {
  const orderOf = (isFirst: boolean) => orderOfServer(run.order, server, isFirst);
  return recover(run, children, `server:${server.name}`, orderOf, dispensableMsOf(server));
}

async function recover(
  run: Run<PlanOrder>,
  children: ChildRuns,
  id: NodeId,
  orderOf: (isFirst: boolean) => ChildOrder,
  dispensableMs: number | null = null,
): Promise<void> {
  const place = placeOfNode(id);
  const given: Recovered = { runId: null, state: 'failed' };
  const act = ({ effect }: Input<PlanOrder>) => children.recover(orderOf(effect.attempt === 1));
  await steps.item<Recovered | null, PlanOrder>(run, place, act, {
    undo: () => children.undo(nodeOf(place), run.hasGivenWay),
    whenSkipped: null,
    isException: (recovered) => recovered?.state === 'failed',
    dispensable: dispensableMs === null ? undefined : { afterMs: dispensableMs, value: given },
  });
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
    proven: provenWords(run, children),
    next: `wave ${wave} starts (${inWave.length} ${inWave.length === 1 ? 'server' : 'servers'})`,
  });
}
