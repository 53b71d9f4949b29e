/** What people hold of a plan: nothing new is started there until they let it go on; what runs is not touched. */
import { setHandler } from '@temporalio/workflow';
import { placeKey, type HoldPlace, type PlanOrder } from '../model/plan';
import type { NodeId, PlanGraph, PlanNode } from '../model/runbook/graph';
import type { Scheduler } from '../model/runbook/scheduler';
import { holdUpdate, type HoldRequest } from './messages';
import { refuseUnlessMay } from './runner/access';
import { refuse } from './runner/parkings';
import type { Run } from './runner/run';

export class Holds {
  private readonly held = new Map<string, HoldPlace>();
  private readonly waveOf: ReadonlyMap<string, string>;
  /** Rises with everything that people hold or let go on. */
  changes = 0;

  constructor(
    private readonly run: Run<PlanOrder>,
    private readonly graph: PlanGraph,
    private readonly scheduler: Scheduler,
  ) {
    this.waveOf = new Map(run.order.servers.map(({ name, wave }) => [name, wave]));
    setHandler(holdUpdate, (request) => this.take(request), { validator: (request) => this.check(request) });
  }

  get any(): boolean {
    return this.held.size > 0;
  }

  private take(request: HoldRequest): { accepted: true } {
    // Asked again: two updates may come in one task.
    this.check(request);
    const { act, of, reason, by } = request;
    if (act === 'hold') this.held.set(placeKey(of), of);
    else this.held.delete(placeKey(of));
    for (const node of this.graph.nodes.values()) {
      if (this.isHeld(node)) this.scheduler.hold(node.id);
      else this.scheduler.goOn(node.id);
    }
    this.changes += 1;
    if (act === 'hold') this.run.emit('held', { of, reason }, { by });
    else this.run.emit('let-go-on', { of, reason }, { by });
    return { accepted: true };
  }

  private isHeld(node: PlanNode): boolean {
    const has = (of: HoldPlace): boolean => this.held.has(placeKey(of));
    switch (node.kind) {
      // It starts nothing: it is the end of its wave.
      case 'wave':
        return false;
      case 'open':
        return has({ kind: 'run' }) || has({ kind: 'wave', name: node.name });
      case 'include':
        return has({ kind: 'run' });
      case 'server': {
        const wave = this.waveOf.get(node.name)!;
        return has({ kind: 'run' }) || has({ kind: 'wave', name: wave }) || has({ kind: 'server', name: node.name });
      }
    }
  }

  /** @throws the refusal */
  private check({ act, of, reason, by }: HoldRequest): void {
    const { run } = this;
    if (reason.trim() === '') refuse('NoReason', 'Holding and going on need a reason: it stands in the record.');
    if (run.phase === 'closed') refuse('Closed', `The run is over: ${run.closedAs ?? 'closing'}.`);
    if (run.phase === 'undoing' || run.interrupt !== null)
      refuse('AlreadyDecided', 'The run is being undone already: nothing new is started.');
    const nodes = this.nodesOf(of);
    refuseUnlessMay(run.rules, by, act === 'hold' ? 'hold it' : 'let it go on');
    const isHeld = this.held.has(placeKey(of));
    if (act === 'go-on' && !isHeld) refuse('AlreadyDecided', `${words(of)} is not held.${this.heldWords()}`);
    if (act === 'go-on') return;
    if (isHeld) refuse('AlreadyDecided', `${words(of)} is held already.`);
    if (!nodes.some((id) => this.scheduler.isLeft(id)))
      refuse('NotAllowed', `Nothing of ${words(of)} is left to start; what runs is not touched by a hold.`);
  }

  /** What a hold there keeps from starting. @throws the refusal `BadInput` for a name that the plan does not have */
  private nodesOf(of: HoldPlace): NodeId[] {
    const servers = [...this.waveOf.keys()];
    const startable = (id: NodeId): boolean => !id.startsWith('wave:');
    switch (of.kind) {
      case 'run':
        return [...this.graph.nodes.keys()].filter(startable);
      case 'wave': {
        const waves = this.run.order.plan.waves.map(({ name }) => name);
        if (!waves.includes(of.name)) refuse('BadInput', `There is no wave "${of.name}". Waves: ${waves.join(', ')}.`);
        const members = servers.filter((name) => this.waveOf.get(name) === of.name);
        return [`open:${of.name}`, ...members.map((name): NodeId => `server:${name}`)];
      }
      case 'server':
        if (!this.waveOf.has(of.name))
          refuse('BadInput', `There is no server "${of.name}" in this plan; it has ${servers.length}.`);
        return [`server:${of.name}`];
    }
  }

  private heldWords(): string {
    const held = [...this.held.values()].map(words);
    return held.length === 0 ? ' Nothing is.' : ` Held: ${held.join(', ')}.`;
  }
}

const words = (of: HoldPlace): string => (of.kind === 'run' ? 'the run' : `${of.kind} ${of.name}`);
