/**
 * What people hold of a plan: nothing new is started there until they let it go on; what runs is not touched. Held as a whole, so
 * are the plans of the runbooks that it includes: those that run hear of it, those that are started meanwhile start held.
 */
import { condition, patched, setHandler } from '@temporalio/workflow';
import { placeKey, placeText, type HoldPlace, type PlanHeld, type PlanOrder } from '../model/plan';
import type { Provenance } from '../model/order';
import type { NodeId, PlanGraph, PlanNode } from '../model/runbook/graph';
import type { Scheduler } from '../model/runbook/scheduler';
import { holdUpdate, planHeldSignal, type HoldRequest } from './messages';
import type { ChildRuns } from './plan-children';
import { refuseUnlessMay } from './runner/access';
import { refuse } from './runner/parkings';
import type { Run } from './runner/run';

type Act = Pick<HoldRequest, 'of' | 'reason' | 'by'>;
type Held = Act & { readonly since: string };

const whole: HoldPlace = { kind: 'run' };
/** Of an included runbook. People let it go on alone as they do with what they held themselves. */
const above: HoldPlace = { kind: 'plan' };

/** What outlives a walk: a plan that goes back to an earlier step walks once more, and what people hold stays held. */
export class HeldPlaces {
  readonly held = new Map<string, Held>();
  /** How often nothing but a hold kept the plan waiting. */
  waits = 0;
  /** Of the plan that includes this one: number of the last that it said. */
  heard = 0;
}

/** Asked only of a plan that goes back with something held: an execution of an earlier version forgets it, for good. */
const staysHeld = (): boolean => patched('holds-outlive-going-back');

/** Of one walk through the plan. */
export class Holds {
  private readonly waveOf: ReadonlyMap<string, string>;
  /** Asked once: an execution of an earlier version does not tell the plans that it includes, for good. */
  private readonly reaches: boolean;
  /** The walk has ended for an interrupt: what is left to start, the next one says. */
  private interrupted = false;
  /** Rises with everything that people hold or let go on. */
  changes = 0;

  constructor(
    private readonly run: Run<PlanOrder>,
    private readonly children: ChildRuns,
    private readonly graph: PlanGraph,
    private readonly scheduler: Scheduler,
    private readonly kept: HeldPlaces,
  ) {
    if (kept.held.size > 0 && !staysHeld()) kept.held.clear();
    this.waveOf = new Map(run.order.servers.map(({ name, wave }) => [name, wave]));
    this.reaches = run.order.parts.length > 0 && patched('holds-reach-included-plans');
    this.schedule();
    setHandler(holdUpdate, (request) => this.take(request), { validator: (request) => this.check(request) });
    if (run.order.partOf === undefined) return;
    const { startsHeld } = children.takeStart();
    if (startsHeld !== undefined) this.follow(startsHeld);
    setHandler(planHeldSignal, (heard) => this.follow(heard));
  }

  get any(): boolean {
    return this.held.size > 0;
  }

  private get held(): Map<string, Held> {
    return this.kept.held;
  }

  /** The walk ends before everything was started. */
  leave(): void {
    this.interrupted = true;
  }

  /**
   * Waits until it goes on. A rehearsal is given up when nothing but what people hold has kept it waiting for as long as its limit.
   * `isIdle`: nothing runs, and nobody is asked.
   */
  async wait(goesOn: () => boolean, isIdle: boolean): Promise<void> {
    const { giveUpAfterMs } = this.run.order;
    if (!isIdle || !this.any || giveUpAfterMs === undefined) return condition(goesOn);
    this.kept.waits += 1;
    // Histories of earlier versions wait on. By wait, because one run may have done both.
    if (!patched(`held-gives-up-${this.kept.waits}`)) return condition(goesOn);
    if (await condition(goesOn, giveUpAfterMs)) return;
    const { of, reason, by, since } = [...this.held.values()][0]!;
    const words = `${placeText(of)} is held since ${since} by ${by.actor.name} (${reason}), and nobody let it go on.`;
    this.run.giveUp({ step: 'recover', item: null }, 0, giveUpAfterMs, words);
  }

  /** Everything has been started: what is held still was of plans that have had nothing left either. */
  end(): void {
    for (const { of } of [...this.held.values()])
      this.change('go-on', { of, reason: 'Nothing is left to start.', by: this.run.self });
  }

  private take(request: HoldRequest): { accepted: true } {
    // Asked again: two updates may come in one task.
    this.check(request);
    const { act, of } = request;
    const both = act === 'go-on' && of.kind === 'run' ? [whole, above] : [of];
    for (const one of both)
      if (act === 'hold' || this.held.has(placeKey(one))) this.change(act, { ...request, of: one });
    return { accepted: true };
  }

  /** What the plan says that includes this one; what it said before, and comes late, is not followed. */
  private follow({ n, held, reason, by }: PlanHeld): void {
    const { run } = this;
    if (n <= this.kept.heard) return;
    this.kept.heard = n;
    if (this.isUndone || (run.interrupt !== null && !staysHeld())) return;
    if (held === this.held.has(placeKey(above)) || (held && !this.isLeftFor(n))) return;
    this.change(held ? 'hold' : 'go-on', { of: above, reason, by });
  }

  private change(act: HoldRequest['act'], { of, reason, by }: Act): void {
    const before = this.isWhole;
    if (act === 'hold') this.held.set(placeKey(of), { of, reason, by, since: new Date().toISOString() });
    else this.held.delete(placeKey(of));
    this.schedule();
    this.changes += 1;
    if (act === 'hold') this.run.emit('held', { of, reason }, { by });
    else this.run.emit('let-go-on', { of, reason }, { by });
    if (this.reaches && this.isWhole !== before) this.passOn(reason, by);
  }

  private schedule(): void {
    for (const node of this.graph.nodes.values()) {
      if (this.isHeld(node)) this.scheduler.hold(node.id);
      else this.scheduler.goOn(node.id);
    }
  }

  private passOn(reason: string, { actor }: Provenance): void {
    const { name } = this.run.order.runbook;
    const words =
      actor.kind === 'person' ? `${actor.name}, at ${name}, which includes this runbook: ${reason}` : reason;
    this.children.holdPlans(this.isWhole, words);
  }

  private get isWhole(): boolean {
    return [whole, above].some((of) => this.held.has(placeKey(of)));
  }

  private isHeld(node: PlanNode): boolean {
    const has = (of: HoldPlace): boolean => this.held.has(placeKey(of));
    switch (node.kind) {
      // It starts nothing: it is the end of its wave.
      case 'wave':
        return false;
      case 'open':
        return this.isWhole || has({ kind: 'wave', name: node.name });
      case 'include':
        return this.isWhole;
      case 'server': {
        const wave = this.waveOf.get(node.name)!;
        return this.isWhole || has({ kind: 'wave', name: wave }) || has({ kind: 'server', name: node.name });
      }
    }
  }

  /** @throws the refusal */
  private check({ act, of, reason, by }: HoldRequest): void {
    const { run } = this;
    if (reason.trim() === '') refuse('NoReason', 'Holding and going on need a reason: it stands in the record.');
    if (run.phase === 'closed') refuse('Closed', `The run is over: ${run.closedAs ?? 'closing'}.`);
    if (this.isUndone) refuse('AlreadyDecided', 'The run is being undone already: nothing new is started.');
    const nodes = this.nodesOf(of);
    refuseUnlessMay(run.rules, by, act === 'hold' ? 'hold it' : 'let it go on');
    const isHeld = this.held.has(placeKey(of));
    const goesOn = isHeld || (of.kind === 'run' && this.isWhole);
    if (act === 'go-on' && !goesOn) refuse('AlreadyDecided', `${placeText(of)} is not held.${this.heldWords()}`);
    if (act === 'go-on') return;
    if (isHeld) refuse('AlreadyDecided', `${placeText(of)} is held already.`);
    if (!this.isLeft(nodes) && !this.isBeingStarted(nodes))
      refuse('NotAllowed', `Nothing of ${placeText(of)} is left to start; what runs is not touched by a hold.`);
  }

  /** For good; a plan that goes back to an earlier step can be held. */
  private get isUndone(): boolean {
    const { phase, interrupt } = this.run;
    return phase !== 'forward' || interrupt?.kind === 'abort';
  }

  /** Whether something is still to be started there; what an included plan that runs has left, it knows by itself. */
  private isLeft(nodes: readonly NodeId[]): boolean {
    if (this.interrupted || this.run.interrupt !== null) return true;
    const inPart = (id: NodeId): boolean => this.reaches && id.startsWith('include:') && this.children.isOpen(id);
    return nodes.some((id) => this.scheduler.isLeft(id) || inPart(id));
  }

  /** The same of all of it, for the plan above. Earlier versions knew nothing of starts. By number, because one run may have done both. */
  private isLeftFor(n: number): boolean {
    const nodes = this.nodesOf(whole);
    return this.isLeft(nodes) || (this.isBeingStarted(nodes) && patched(`held-while-it-starts-${n}`));
  }

  private isBeingStarted(nodes: readonly NodeId[]): boolean {
    return this.reaches && nodes.some((id) => id.startsWith('include:') && this.children.starting.has(id));
  }

  /** What a hold there keeps from starting. @throws the refusal `BadInput` for a name that the plan does not have */
  private nodesOf(of: HoldPlace): NodeId[] {
    const servers = [...this.waveOf.keys()];
    const startable = (id: NodeId): boolean => !id.startsWith('wave:');
    switch (of.kind) {
      case 'run':
        return [...this.graph.nodes.keys()].filter(startable);
      case 'plan':
        return refuse('BadInput', 'Hold the plan that includes this one there: it reaches this one by itself.');
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
    const held = [...this.held.values()].map(({ of }) => placeText(of));
    return held.length === 0 ? ' Nothing is.' : ` Held: ${held.join(', ')}.`;
  }
}
