/**
 * The places that a plan gives within its limits: to its own servers, and to those of all that it includes, whose plans ask it by
 * signals (messages.ts). One plan decides for the whole tree below it, so that limits of several levels are met together and nobody
 * holds one place while waiting for another; the order is that of the files, its own servers first.
 */
import { setHandler } from '@temporalio/workflow';
import type { PlanOrder } from '../model/plan';
import { givesPlaces, Places, type Room } from '../model/runbook/places';
import { placesAskedSignal, placesGivenSignal, type PlacesAsked, type PlacesGiven } from './messages';
import { reaches } from './reaches';
import type { Run } from './runner/run';
import { Turns } from './turns';

/** What a walk through a plan asks for places, whoever gives them. */
export interface RoomOfPlan extends Room {
  /** Rises when something may be taken that could not be before. */
  readonly changes: number;
  /** A walk begins: nothing of an earlier one runs. */
  begin(run: Run<PlanOrder>): void;
  /** After all that may start has been: whom nothing but a place keeps back, in the order of the file. */
  offer(withoutRoom: readonly string[]): void;
  /** The walk is over: nothing more is started. What runs still has its place. */
  leave(): void;
  /** The run of an included runbook is over, well or not. */
  partOver(runId: string): void;
}

/** A plan below that asks. */
interface Asker extends Pick<PlacesAsked, 'runs'> {
  readonly runId: string;
  readonly workflowId: string;
  readonly places: Places;
  heard: number;
  /** In the order of its file. */
  wants: string[];
  /** Given, and not told yet. */
  given: string[];
  isTold: boolean;
}

const signalsAtOnce = 100;

export class PlacesHere implements RoomOfPlan {
  changes = 0;
  private readonly places: Places;
  /** Its own first, then those of what it includes, in the order in which they are served. */
  private readonly order: readonly Places[];
  private readonly askers = new Map<string, Asker>();
  /** Runs of included runbooks. */
  private readonly over = new Set<string>();
  private readonly signals = new Turns(signalsAtOnce);

  constructor(order: PlanOrder) {
    const gives = givesPlaces(order);
    this.places = new Places(gives ? order : { ...order, parts: [] });
    this.order = this.places.inOrder();
    if (gives) setHandler(placesAskedSignal, (asked) => this.hear(asked));
  }

  take(server: string): boolean {
    return this.places.take(server);
  }

  end(server: string): void {
    this.places.end(server);
  }

  begin(): void {
    this.places.clear();
  }

  /** Its own have had theirs: what is left is for those that ask. */
  offer(): void {
    const askers = [...this.askers.values()].sort((a, b) => this.rankOf(a) - this.rankOf(b));
    for (const asker of askers) {
      const { places, wants } = asker;
      if (places.isFull) continue;
      asker.wants = wants.filter((server) => !places.take(server));
      if (asker.wants.length === wants.length) continue;
      const left = new Set(asker.wants);
      asker.given.push(...wants.filter((server) => !left.has(server)));
      void this.tell(asker);
    }
  }

  leave(): void {
    // Who asks later is heard in the next walk, if there is one; an aborted plan gives no places.
  }

  partOver(runId: string): void {
    if (this.over.has(runId)) return;
    this.over.add(runId);
    for (const asker of [...this.askers.values()]) {
      if (!asker.runs.includes(runId)) continue;
      this.forget(asker);
      // A plan between the two was ended outside Muster: nobody would say when this one is over.
      if (asker.runId !== runId) void this.signal(asker.workflowId, { heard: asker.heard, servers: [], alone: true });
    }
    this.changes += 1;
  }

  private rankOf = ({ places }: Asker): number => this.order.indexOf(places);

  private hear(asked: PlacesAsked): void {
    const { from, n, runs } = asked;
    if (runs.some((runId) => this.over.has(runId))) {
      void this.signal(from.workflowId, { heard: n, servers: [], alone: true });
      return;
    }
    const asker = this.askers.get(from.runId) ?? this.remember(asked);
    if (asker === null || n <= asker.heard) return;
    asker.heard = n;
    for (const server of asked.leaves) asker.places.end(server);
    const leaves = new Set(asked.leaves);
    asker.given = asker.given.filter((server) => !leaves.has(server));
    const wants = asker.wants.filter((server) => !leaves.has(server));
    const more = asked.wants.filter((server) => asker.places.has(server));
    asker.wants = more.length === 0 ? wants : asker.places.sorted(new Set([...wants, ...more]));
    for (const runId of asked.over) this.partOver(runId);
    this.changes += 1;
  }

  private remember({ from: { runId, workflowId }, path, runs }: PlacesAsked): Asker | null {
    const places = this.places.within(path);
    if (places === undefined) return null;
    const asker: Asker = { runId, workflowId, runs, places, heard: 0, wants: [], given: [], isTold: false };
    this.askers.set(runId, asker);
    return asker;
  }

  private forget({ runId, places }: Asker): void {
    places.clear();
    this.askers.delete(runId);
  }

  /** One message at a time: they arrive in order, and what is given meanwhile goes together. */
  private async tell(asker: Asker): Promise<void> {
    if (asker.isTold) return;
    asker.isTold = true;
    while (asker.given.length > 0 && this.askers.has(asker.runId)) {
      const servers = asker.given;
      asker.given = [];
      if (!(await this.signal(asker.workflowId, { heard: asker.heard, servers, alone: false })))
        this.partOver(asker.runId);
    }
    asker.isTold = false;
  }

  /** False: that plan is no more. */
  private signal(workflowId: string, given: PlacesGiven): Promise<boolean> {
    return this.signals.take(() => reaches(workflowId, placesGivenSignal, given));
  }
}
