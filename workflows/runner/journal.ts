/**
 * The run's own end of the journal: events are collected here and flushed by one coroutine, so that the recovery never
 * waits for the record (design: law 5). Rows are numbered by the activity, idempotent by (run, flush).
 */
import { CancellationScope, condition, patched, proxyActivities } from '@temporalio/workflow';
import type { JournalActivities } from '../../activities/contract';
import type { RunEvent } from '../../model/events';
import { journalQueue } from '../messages';
import { maxBatchEvents, nextBatch } from './batches';

const { appendJournal } = proxyActivities<JournalActivities>({
  taskQueue: journalQueue,
  startToCloseTimeout: '15s',
  // The record may come late; it may not be lost: no limit on attempts (design: law 3).
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '5s' },
});

/**
 * Between two flushes. Measured: a leading-edge flush with a one-second gap costs no more than no journal at all
 * (docs/performance.md). What comes later than that is flushed at once, and no timer runs while nothing happens: a plan of thousands
 * pays for every event in Temporal's history, which has a limit.
 */
const restMs = 1_000;
/** One thing leads to the next within one workflow task: so often all others are let go first before a flush is made of it. */
const turnsOfAMoment = 10;

export interface JournalOwner {
  readonly tenantId: string;
  readonly coreId: string;
  readonly runId: string;
  readonly parentRunId: string | null;
}

export class RunJournal {
  readonly events: RunEvent[] = [];
  private flushed = 0;
  private flushes = 0;
  private closing = false;
  private head: string | undefined;
  private readonly loop: Promise<void>;

  constructor(private readonly owner: JournalOwner) {
    // Started before anything can be cancelled, and shielded from it.
    this.loop = CancellationScope.nonCancellable(() => this.run());
  }

  emit(event: RunEvent): void {
    this.events.push(event);
  }

  get unflushed(): number {
    return this.events.length - this.flushed;
  }

  /** The last hash of the chain as far as it stands in the journal; after `close` the hash of the closing event. */
  get headHash(): string | undefined {
    return this.head;
  }

  /** Resolves when every event stands in the journal: with Postgres down, when it is back. */
  async close(): Promise<void> {
    this.closing = true;
    await this.loop;
  }

  private async run(): Promise<void> {
    // Asked once: an execution of an earlier version goes on with a timer after each flush.
    const gathers = patched('journal-gathers');
    let restsUntil = 0;
    for (;;) {
      await condition(() => this.unflushed > 0 || this.closing);
      if (this.unflushed === 0) return;
      if (gathers) await this.gather(restsUntil - Date.now());
      const batch = nextBatch(this.events, this.flushed);
      this.flushes += 1;
      const { lastHash } = await appendJournal({ ...this.owner, flush: this.flushes, events: batch });
      this.head = lastHash;
      this.flushed += batch.length;
      restsUntil = Date.now() + restMs;
      if (!gathers && !this.closing) await this.rest(restMs);
    }
  }

  private async gather(restsMs: number): Promise<void> {
    if (restsMs > 0) return this.rest(restsMs);
    for (let turns = 0; turns < turnsOfAMoment && !this.closing; turns += 1) await letOthersGo();
  }

  private async rest(ms: number): Promise<void> {
    await condition(() => this.closing || this.unflushed >= maxBatchEvents, ms);
  }
}

/** Conditions are looked at again and again within one workflow task until none is met any more: this one is met the second time. */
async function letOthersGo(): Promise<void> {
  let isAsked = false;
  await condition(() => isAsked || !(isAsked = true));
}
