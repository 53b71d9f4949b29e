/**
 * Builds the events of a run in the order and with the clocks in which the step runner emits them: one cursor of time,
 * tokens that rise with every attempt, epochs that rise with every parking.
 */
import { createHash } from 'node:crypto';
import type { EventData, EventKind, EvidenceRef, Failure, RunEvent } from '../../model/events';
import type { CorrectableInput, Provenance, RecoveryOrder } from '../../model/order';
import type { DecisionKind, RunState } from '../../model/steps';
import { storyDeclaration } from './declaration';
import { ines, makeOrder, storyStart } from './order';

export interface EvidenceFile {
  readonly what: string;
  readonly name: string;
  readonly mediaType: string;
  readonly content: Buffer;
}

export interface Place {
  readonly item?: string | null;
  readonly undo?: boolean;
}

export interface AttemptFacts extends Place {
  readonly tookMs?: number;
  readonly result?: unknown;
  readonly failure?: Failure;
  readonly nextDelayMs?: number | null;
  readonly evidence?: readonly EvidenceFile[];
}

export const worker: Provenance = {
  actor: { kind: 'worker', id: 'site-frankfurt-1', name: 'site-frankfurt-1' },
  authMethod: 'internal',
  requestId: 'req-7f3a',
  address: '',
};

export function failure(family: Failure['family'], message: string, more: Partial<Failure> = {}): Failure {
  return { family, message, remedy: null, detail: null, ...more };
}

export function evidenceRef({ name, mediaType, content }: EvidenceFile): EvidenceRef {
  return { sha256: sha256(content), name, mediaType, sizeBytes: content.length };
}

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** A run that is being told. Every method moves the one cursor of time only where it says so. */
export class Story {
  readonly events: RunEvent[] = [];
  readonly files = new Map<string, Buffer>();
  private readonly self: Provenance;
  private readonly attempts = new Map<string, number>();
  private now: number;
  private token = 0;
  private epoch = 0;

  constructor(
    readonly order: RecoveryOrder = makeOrder(),
    start = storyStart,
  ) {
    this.now = Date.parse(start);
    this.self = {
      ...worker,
      actor: { kind: 'workflow', id: order.runId, name: order.procedure },
    };
    const data = { order, declaration: order.procedure, versions: { muster: '0.1.0', temporalSdk: '1.24.0' } };
    this.emit('run-opened', data, { by: order.requestedBy });
  }

  get at(): string {
    return new Date(this.now).toISOString();
  }

  pass(ms: number): this {
    this.now += ms;
    return this;
  }

  emit<K extends EventKind>(
    kind: K,
    data: EventData[K],
    more: { step?: string | null; item?: string | null; attempt?: number; by?: Provenance } = {},
  ): this {
    const { step = null, item = null, attempt = null, by = this.self } = more;
    this.events.push({ kind, at: this.at, by, step, item, attempt, data } as RunEvent);
    return this;
  }

  announce(step: string): this {
    const title = storyDeclaration.steps.find(({ id }) => id === step)?.title ?? step;
    return this.emit('step-announced', { title }, { step });
  }

  /** One attempt with its end; time passes by `tookMs`, and by the delay before the next. */
  attempt(step: string, facts: AttemptFacts = {}): this {
    const { item = null, undo = false, tookMs = 400, result = null, nextDelayMs = null } = facts;
    const place = this.start(step, { item, undo });
    this.pass(tookMs);
    const here = { step, item, attempt: place.attempt, by: worker };
    for (const file of facts.evidence ?? []) this.evidence(file, here);
    const { token } = place;
    if (facts.failure === undefined) {
      return this.emit('attempt-succeeded', { token, undo, result, durationMs: tookMs }, here);
    }
    this.emit('attempt-failed', { token, undo, failure: facts.failure, nextDelayMs }, here);
    return this.pass(nextDelayMs ?? 0);
  }

  /** An attempt that has begun and not ended. */
  start(step: string, { item = null, undo = false }: Place = {}): { attempt: number; token: number } {
    const key = `${undo} ${step} ${item}`;
    const attempt = (this.attempts.get(key) ?? 0) + 1;
    this.attempts.set(key, attempt);
    this.token += 1;
    this.emit('attempt-started', { token: this.token, undo }, { step, item, attempt });
    return { attempt, token: this.token };
  }

  evidence(file: EvidenceFile, more: { step: string; item?: string | null; attempt?: number; by?: Provenance }): this {
    this.files.set(sha256(file.content), file.content);
    return this.emit('evidence', { what: file.what, evidence: evidenceRef(file) }, more);
  }

  /** A step that works at the first try. */
  step(id: string, facts: AttemptFacts = {}): this {
    this.announce(id).attempt(id, facts);
    return this.emit('step-done', { result: facts.result ?? null }, { step: id }).pass(20);
  }

  /** A step per disk, all at the first try. */
  eachDisk(id: string, facts: AttemptFacts = {}): this {
    this.announce(id);
    for (const disk of this.order.server.disks) this.attempt(id, { ...facts, item: disk.id });
    return this.emit('step-done', { result: [] }, { step: id }).pass(20);
  }

  park(step: string, cause: Failure, place: Place & { allowed?: DecisionKind[] } = {}): number {
    const { item = null, undo = false, allowed = ['retry', 'skip', 'provide', 'abort'] } = place;
    this.epoch += 1;
    const remedy = cause.remedy ?? 'Mend what the message names, then retry.';
    this.emit('parked', { epoch: this.epoch, undo, failure: cause, allowed, remedy }, { step, item });
    return this.epoch;
  }

  gate(step: string, question: string, because: string, allowed: DecisionKind[] = ['approve', 'abort']): number {
    this.epoch += 1;
    this.emit('gate-opened', { epoch: this.epoch, question, because, allowed }, { step });
    return this.epoch;
  }

  decide(
    epoch: number,
    decision: DecisionKind,
    reason: string,
    more: { by?: Provenance; from?: string; input?: CorrectableInput } = {},
  ): this {
    const parking = this.events.find(
      (event) => (event.kind === 'parked' || event.kind === 'gate-opened') && event.data.epoch === epoch,
    );
    const { by = ines, from = null, input = null } = more;
    const here = { step: parking?.step, item: parking?.item, by };
    return this.emit('decided', { epoch, decision, reason, from, input }, here);
  }

  /** An abort of the whole run, as the runner records it. */
  abort(reason: string, by: Provenance = ines): this {
    return this.decide(0, 'abort', reason, { by }).emit('undo-started', { because: reason });
  }

  undo(step: string, facts: AttemptFacts = {}): this {
    this.attempt(step, { ...facts, undo: true });
    return this.emit('step-undone', {}, { step, item: facts.item ?? null });
  }

  close(state: RunState, summary: string): this {
    return this.emit('run-closed', { state, summary, childHashes: {} });
  }
}
