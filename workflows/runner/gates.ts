/**
 * A gate of a runbook: the people whom it names, as many as it needs, in the time that it gives. Whoever asked for the run
 * does not count, nobody counts twice, and who has lost the role meanwhile does not count: people are looked up when the
 * quorum is reached. Where Postgres does not answer, the gate passes on what the record says, and says so (law 5).
 */
import { condition } from '@temporalio/workflow';
import { bothPeople, isAmong, peopleWords } from '../../model/access';
import { formatDuration } from '../../model/durations';
import type { Gate, People } from '../../model/runbook/runbook';
import type { GateStanding } from '../../model/waiting';
import type { DecisionRequest } from '../messages';
import { refuseWithoutRole } from './access';
import { laterReminder } from './reminders';
import { nameOf, placeOf, refuse, whoOf, type Parked } from './parkings';
import { peopleNow, whyNot } from './people-now';
import { Interrupted, type Place, type Run, type RunOrder } from './run';

/** What an approver needs beside the gate's own question. */
export interface GateFacts {
  /** Of the gate, in the runbook. */
  readonly name: string;
  /** What has been shown so far: `2 of 5 servers are proven: db01, db02`. */
  readonly proven: string;
  /** What happens when it passes: `wave application starts: app01, app02`. */
  readonly next: string;
}

/** A gate while it is open. */
export class OpenGate {
  readonly requests: DecisionRequest[] = [];
  approvers: People;
  /** All approvals are in, and people are being looked up. */
  verifying = false;

  constructor(readonly gate: Gate) {
    this.approvers = gate.approvers;
  }

  get isFull(): boolean {
    return this.requests.length >= this.gate.approvals;
  }

  forget(personId: string): void {
    const at = this.requests.findIndex(({ by }) => by.actor.id === personId);
    if (at >= 0) this.requests.splice(at, 1);
  }
}

/**
 * The gate's own time comes first; where it has none, and once it has escalated, a rehearsal that gives up does so here, too.
 *
 * @throws Interrupted when the run is aborted meanwhile, also by the gate's own time.
 */
export async function passGate<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  gate: Gate,
  facts: GateFacts,
): Promise<void> {
  const parked = openGate(run, place, gate, facts);
  const openedMs = Date.now();
  const waitedMs = (): number => Date.now() - openedMs;
  const open = parked.gate!;
  const giveUpMs = run.order.giveUpAfterMs ?? Infinity;
  let limitMs = gate.otherwise === 'wait' ? Infinity : (gate.withinMs ?? Infinity);
  let giveUpAtMs = limitMs === Infinity ? giveUpMs : Infinity;
  try {
    for (let waitMs = run.order.reminderMs; ;) {
      const leftMs = Math.max(1, Math.min(waitMs, Math.min(limitMs, giveUpAtMs) - waitedMs()));
      const woken = await condition(() => run.interrupt !== null || open.isFull, leftMs);
      if (run.interrupt !== null) throw new Interrupted();
      if (open.isFull) {
        if (await allStand(run, place, parked)) return decide(run, parked);
      } else if (waitedMs() >= limitMs) {
        limitMs = Infinity;
        giveUpAtMs = waitedMs() + giveUpMs;
        if (timeIsOver(run, place, parked, gate)) return;
      } else if (waitedMs() >= giveUpAtMs) {
        run.giveUp(place, parked.parking.epoch, giveUpMs, `${gate.title}: nobody answered.`);
      } else if (!woken) {
        run.emit('reminded', { epoch: parked.parking.epoch, waitingMs: waitedMs() }, at(place));
        waitMs = laterReminder(waitMs);
      }
    }
  } finally {
    run.parkings.remove(parked);
  }
}

function openGate<O extends RunOrder>(run: Run<O>, place: Place, gate: Gate, facts: GateFacts): Parked {
  const epoch = run.parkings.nextEpoch();
  const since = new Date();
  const { withinMs, otherwise, approvers, escalateTo, approvals: needed, question } = gate;
  const until = withinMs === null || otherwise === 'wait' ? null : new Date(since.getTime() + withinMs).toISOString();
  const standing: GateStanding = { name: facts.name, approvers, needed, until, otherwise, escalateTo };
  const because = gateWords(run, gate, facts);
  const allowed = ['approve', 'abort'] as const;
  const step = run.declared(place.step);
  const parked = run.parkings.add(
    {
      ...{ epoch, ...place, title: step.title, kind: 'gate', undo: false, since: since.toISOString() },
      ...{ cause: because, remedy: question, allowed, provides: [], gate: standing, approvals: [] },
    },
    new OpenGate(gate),
  );
  run.emit('gate-opened', { epoch, question, because, allowed: [...allowed], gate: standing }, at(place));
  return parked;
}

/** Who asked, what is proven, who may answer, and what every answer and none of them leads to. */
function gateWords<O extends RunOrder>({ order }: Run<O>, gate: Gate, { proven, next }: GateFacts): string {
  const { requestedBy, reason, mode, giveUpAfterMs } = order;
  const needed = gate.approvals === 1 ? 'one approval' : `${gate.approvals} approvals`;
  return [
    `${gate.title}.`,
    `${requestedBy.actor.name} asked for this ${mode}: ${reason}.`.replace('..', '.'),
    `${proven}.`,
    `Needs ${needed} of ${peopleWords(gate.approvers)}; ${requestedBy.actor.name} does not count.`,
    `Approve: ${next}. Abort: everything that the run has done is undone.`,
    otherwiseWords(gate),
    ...(giveUpAfterMs === undefined ? [] : giveUpWords(gate, formatDuration(giveUpAfterMs))),
  ].join(' ');
}

function giveUpWords({ otherwise, withinMs }: Gate, after: string): string[] {
  const then = 'the rehearsal is given up, and everything is cleaned up';
  if (withinMs === null || otherwise === 'wait') return [`After ${after} ${then}.`];
  return otherwise === 'escalate' ? [`${after} later ${then}.`] : [];
}

function otherwiseWords({ otherwise, withinMs, escalateTo }: Gate): string {
  if (withinMs === null || otherwise === 'wait') return 'Without an answer it waits.';
  const within = `Without an answer within ${formatDuration(withinMs)}`;
  switch (otherwise) {
    case 'escalate':
      return `${within} ${peopleWords(escalateTo)} may approve, too.`;
    case 'abort':
      return `${within} the run is aborted.`;
    case 'go-on':
      return `${within} it goes on.`;
  }
}

/** @throws the refusals of an approval, each naming who may. */
export function checkApproval<O extends RunOrder>(
  run: Run<O>,
  open: OpenGate,
  { by, step, item }: DecisionRequest,
): void {
  const { actor } = by;
  const where = nameOf({ step, item });
  if (open.verifying) refuse('AlreadyDecided', `${where} has all the approvals that it needs.`);
  if (actor.id === run.order.requestedBy.actor.id)
    refuse('NotAllowed', `${actor.name} asked for this run: somebody else approves, ${peopleWords(open.approvers)}.`);
  if (open.requests.some((request) => request.by.actor.id === actor.id))
    refuse('AlreadyDecided', `${actor.name} has approved ${where} already; nobody counts twice.`);
  refuseWithoutRole(run.rules.places, by, `approve ${where}`);
  if (isAmong(open.approvers, actor)) return;
  const found = `found the role ${actor.role ?? 'none'}`;
  refuse('NotAllowed', `${actor.name} may not approve ${where}: ${found}, needed ${peopleWords(open.approvers)}.`);
}

export function takeApproval<O extends RunOrder>(
  run: Run<O>,
  parked: Parked,
  open: OpenGate,
  request: DecisionRequest,
): string | null {
  open.requests.push(request);
  const { epoch, approvals = [] } = parked.parking;
  const approval = { by: whoOf(request.by), at: new Date().toISOString(), reason: request.reason };
  parked.parking = { ...parked.parking, approvals: [...approvals, approval] };
  const count = { approvals: open.requests.length, needed: open.gate.approvals };
  run.emit('approved', { epoch, reason: request.reason, ...count }, placeOf(request));
  // From here to the end of the look-up nobody comes or goes.
  open.verifying = open.isFull;
  return open.isFull ? null : `${count.approvals} of ${count.needed} approvals.`;
}

/** Whether all who approved still may, by what the store says of them now; who may not does not count. */
async function allStand<O extends RunOrder>(run: Run<O>, place: Place, parked: Parked): Promise<boolean> {
  const open = parked.gate!;
  const people = await peopleNow(open.requests.map(({ by }) => by.actor.id));
  open.verifying = false;
  if (run.interrupt !== null) throw new Interrupted();
  if (people === null) {
    const message = `Postgres did not answer: whether the approvers still have their roles could not be checked. ${nameOf(place)} passes on what they had when they approved: ${open.requests.map(describe).join(', ')}.`;
    run.emit('noted', { message }, at(place));
    return true;
  }
  for (const request of [...open.requests]) {
    const person = people.find(({ id }) => id === request.by.actor.id);
    const lost = whyNot(open.approvers, run.rules.places, person);
    if (lost !== null) dropApproval(run, place, parked, request, lost);
  }
  return open.isFull;
}

const describe = ({ by: { actor } }: DecisionRequest): string => `${actor.name} (${actor.role ?? 'no role'})`;

function dropApproval<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  parked: Parked,
  { by }: DecisionRequest,
  because: string,
): void {
  const open = parked.gate!;
  open.forget(by.actor.id);
  const approvals = (parked.parking.approvals ?? []).filter((one) => one.by.id !== by.actor.id);
  parked.parking = { ...parked.parking, approvals };
  const reason = `The approval of ${by.actor.name} does not count: ${because}.`;
  const count = { approvals: approvals.length, needed: open.gate.approvals };
  run.emit('approval-withdrawn', { epoch: parked.parking.epoch, reason, ...count, of: whoOf(by) }, at(place));
}

/** Recorded as the decision of who gave the last approval. */
function decide<O extends RunOrder>(run: Run<O>, parked: Parked): void {
  const last = parked.gate!.requests.at(-1)!;
  run.parkings.settle(parked, last);
  const { epoch, decision, reason, from, input } = last;
  run.emit('decided', { epoch, decision, reason, from, input }, placeOf(last));
}

/** Whether the gate lets the run pass. */
function timeIsOver<O extends RunOrder>(run: Run<O>, place: Place, parked: Parked, gate: Gate): boolean {
  const { epoch } = parked.parking;
  const afterMs = gate.withinMs!;
  const reason = `${gate.title}: nobody answered within ${formatDuration(afterMs)}.`;
  const decided = { epoch, reason, from: null, input: null };
  switch (gate.otherwise) {
    case 'wait':
      return false;
    case 'escalate':
      parked.gate!.approvers = bothPeople(gate.approvers, gate.escalateTo);
      parked.parking = {
        ...parked.parking,
        gate: { ...parked.parking.gate!, approvers: parked.gate!.approvers, until: null },
      };
      run.emit('escalated', { epoch, afterMs, to: gate.escalateTo }, at(place));
      return false;
    case 'go-on':
      run.emit('decided', { ...decided, decision: 'go-on' }, at(place));
      return true;
    case 'abort':
      run.emit('decided', { ...decided, decision: 'abort' }, at(place));
      run.raise({ kind: 'abort', reason, by: run.self });
      throw new Interrupted();
  }
}

const at = ({ step, item }: Place): { step: string; item?: string } => ({ step, ...(item === null ? {} : { item }) });
