/**
 * The places of an included runbook where a plan above has limits: that plan gives them, within its own limits, those of this plan and
 * those of all between. This one says what may start but for a place, and what has done with its own; in one message at a time, so that
 * they arrive in order and a plan of many servers sends few.
 *
 * A plan above that is no more gives none: a recovery does not wait for it, and goes on within its own limits.
 */
import { CancellationScope, condition, setHandler, workflowInfo } from '@temporalio/workflow';
import type { PlacesFrom, PlanOrder } from '../model/plan';
import { Places } from '../model/runbook/places';
import { placesAskedSignal, placesGivenSignal, type PlacesAsked } from './messages';
import type { RoomOfPlan } from './plan-places';
import { reaches } from './reaches';
import { isRunning } from './runner/holders';
import { keyOf, type Run } from './runner/run';

/** How soon a plan that waits for a place looks whether the one that gives it is still there; twice as late each time, up to the time of reminders. */
const firstLookMs = 60_000;

const aloneWords =
  'The plan above that gives this one places was ended from outside Muster: from here on its own limits alone hold.';

export class PlacesAbove implements RoomOfPlan {
  changes = 0;
  private readonly running = new Set<string>();
  /** Whom nothing but a place keeps back. */
  private wants: ReadonlySet<string> = new Set();
  /** What the plan above has been told of: these want a place or have one, since message `n`. */
  private readonly told = new Map<string, number>();
  /** Of those, the ones that have it. */
  private readonly given = new Set<string>();
  private over: string[] = [];
  private readonly own: Places;
  private n = 0;
  private isTelling = false;
  private isWalking = false;
  private isAlone = false;
  private run: Run<PlanOrder> | null = null;

  constructor(
    private readonly order: PlanOrder,
    private readonly from: PlacesFrom,
  ) {
    this.own = new Places({ ...order, parts: [] });
    setHandler(placesGivenSignal, ({ heard, servers, alone }) => {
      if (alone) return this.goAlone();
      for (const server of servers) {
        // One that was given back since, and is wanted again, is given anew.
        const since = this.told.get(server);
        if (since !== undefined && since <= heard) this.given.add(server);
      }
      this.changes += 1;
    });
    // Temporal's own cancel is an abort of the run, and must not end this with an error that nobody catches.
    void CancellationScope.nonCancellable(() => this.watch());
  }

  take(server: string): boolean {
    // Recovered before the plan went back to an earlier step: it answers from memory.
    if (this.run?.memory.has(keyOf({ step: 'recover', item: server })) === true) return true;
    if (this.isAlone ? !this.own.take(server) : !this.given.has(server)) return false;
    this.running.add(server);
    return true;
  }

  end(server: string): void {
    this.running.delete(server);
    this.own.end(server);
    // Within a walk the next offer says so, with all else that has ended.
    if (!this.isWalking) void this.tell();
  }

  begin(run: Run<PlanOrder>): void {
    this.run = run;
    this.isWalking = true;
    this.running.clear();
    this.own.clear();
  }

  offer(withoutRoom: readonly string[]): void {
    this.wants = new Set(withoutRoom);
    void this.tell();
  }

  leave(): void {
    this.isWalking = false;
    this.offer([]);
  }

  partOver(runId: string): void {
    this.over.push(runId);
    void this.tell();
  }

  private async tell(): Promise<void> {
    if (this.isTelling) return;
    this.isTelling = true;
    for (let news = this.news(); news !== null; news = this.news()) {
      if (!(await reaches(this.from.workflowId, placesAskedSignal, news))) this.goAlone();
    }
    this.isTelling = false;
  }

  /** What has changed since the last message; null: nothing. */
  private news(): PlacesAsked | null {
    if (this.isAlone) return null;
    const wants = [...this.wants].filter((server) => !this.told.has(server));
    const leaves = [...this.told.keys()].filter((server) => !this.wants.has(server) && !this.running.has(server));
    const { over } = this;
    if (wants.length + leaves.length + over.length === 0) return null;
    this.n += 1;
    for (const server of wants) this.told.set(server, this.n);
    for (const server of leaves) {
      this.told.delete(server);
      this.given.delete(server);
    }
    this.over = [];
    const { path, runs } = this.from;
    const from = { runId: this.order.runId, workflowId: workflowInfo().workflowId };
    return { from, path, runs, n: this.n, wants, leaves, over };
  }

  private get isWaiting(): boolean {
    return this.told.size > this.given.size;
  }

  /** Who waits sends nothing, and so would never learn that nobody is there. */
  private async watch(): Promise<void> {
    const { reminderMs } = this.order;
    while (!this.isAlone) {
      await condition(() => this.isWaiting || this.isAlone);
      for (let waitMs = Math.min(firstLookMs, reminderMs); ; waitMs = Math.min(2 * waitMs, reminderMs)) {
        if (await condition(() => !this.isWaiting || this.isAlone, waitMs)) break;
        if (!(await isRunning({ workflowId: this.from.workflowId }).catch(() => true))) this.goAlone();
      }
    }
  }

  private goAlone(): void {
    if (this.isAlone) return;
    this.isAlone = true;
    for (const server of this.running) this.own.take(server);
    this.changes += 1;
    this.run?.emit('noted', { message: aloneWords });
  }
}
