/**
 * A server's replication session: holds its state and the changes of state, nothing else. The cycles run inside one
 * long heartbeating activity on the site's queue, so that a point every second writes no history.
 *
 * A run freezes a replica by a durable marker beside the manifests, which the cycles obey: a recovery must not depend on
 * this workflow being alive. The session learns of it because its cycles end with `held`.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { SessionActivities, SessionInput } from '../activities/contract';
import type { SessionState } from '../model/replica';
import type { Provenance } from '../model/order';
import { hearKnocks } from './knocks';
import {
  pauseSessionUpdate,
  removeSessionUpdate,
  resumeSessionUpdate,
  sessionQuery,
  replicationQueue,
} from './messages';
import type { RemovalRequest, SessionView } from './messages';
import { classify } from './runner/failures';
import { refuse } from './runner/parkings';

export interface SessionArguments extends SessionInput {
  readonly by: Provenance;
  /** Set when the session continues as new. */
  readonly wanted?: Wanted;
}

type Wanted = 'replicating' | 'paused' | 'removed';

/** Between a failure and the next try; doubled up to five minutes, so that a source that is gone for days writes little. */
const firstRestMs = 5_000;
const longestRestMs = 5 * 60_000;

export async function replicationSession(input: SessionArguments): Promise<SessionView> {
  const session = new Session(input);
  session.handle();
  await session.prepare();
  while (!session.isRemoved) {
    if (session.wanted === 'paused') await session.stayPaused();
    else await session.replicateForAWhile();
    // Never waited for: a pause that has not been reached yet waits for this very loop.
    if (workflowInfo().continueAsNewSuggested && !session.isRemoved && allHandlersFinished()) {
      await continueAsNew<typeof replicationSession>({ ...input, wanted: session.wanted });
    }
  }
  await session.remove();
  await condition(allHandlersFinished);
  return session.view();
}

class Session {
  wanted: Wanted;
  private state: SessionState = 'starting';
  private heldBy: string | null = null;
  private lastError: string | null = null;
  private since = new Date().toISOString();
  private cycling: CancellationScope | null = null;
  private restMs = firstRestMs;
  private keepsReplica = false;
  private readonly site;

  constructor(private readonly input: SessionArguments) {
    this.wanted = input.wanted ?? 'replicating';
    this.site = proxyActivities<SessionActivities>({
      taskQueue: replicationQueue(input.server.recoverySiteId),
      startToCloseTimeout: '30 days',
      heartbeatTimeout: '10s',
      retry: { maximumAttempts: 1 },
      // Said although it is documented as the default: without it the wait ended at once (SDK 1.24.0, seen in a session's history).
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    });
  }

  handle(): void {
    hearKnocks();
    setHandler(sessionQuery, () => this.view());
    setHandler(pauseSessionUpdate, () => this.want('paused'), { validator: ({ reason }) => this.check(reason) });
    setHandler(resumeSessionUpdate, () => this.want('replicating'), { validator: ({ reason }) => this.check(reason) });
    const remove = ({ keepReplica = false }: RemovalRequest): Promise<SessionView> => {
      this.keepsReplica = keepReplica;
      return this.want('removed');
    };
    setHandler(removeSessionUpdate, remove, { validator: (request) => this.checkRemoval(request) });
  }

  get isRemoved(): boolean {
    return this.wanted === 'removed';
  }

  private get goesOn(): boolean {
    return this.wanted === 'replicating';
  }

  view(): SessionView {
    const { state, heldBy, lastError, since } = this;
    const { id: serverId, recoverySiteId } = this.input.server;
    return { serverId, recoverySiteId, state, heldBy, lastError, since };
  }

  /** Until it is prepared, whatever comes between: a pause is no reason to go on without a replica. */
  async prepare(): Promise<void> {
    let prepared = false;
    while (!prepared && !this.isRemoved) {
      if (this.wanted === 'paused') {
        await this.stayPaused();
        // Removed or paused again meanwhile. Earlier versions prepared first.
        if (!this.goesOn && patched('asks-again-after-a-pause')) continue;
      }
      const ok = await this.cycle(async () => {
        await this.site.prepareReplica(this.input);
        prepared = true;
      });
      if (!ok) await this.restAfterError();
    }
  }

  async replicateForAWhile(): Promise<void> {
    this.become('replicating', null);
    const ok = await this.cycle(async () => {
      const untilFirstPoint = this.lastError !== null;
      const ended = await this.site.replicate({ ...this.input, ...(untilFirstPoint ? { untilFirstPoint } : {}) });
      this.lastError = null;
      if (ended.because === 'stretch-over' || ended.because === 'first-point') return;
      if (ended.because === 'held') this.become('frozen', ended.heldBy);
      const { gone } = ended.because === 'gone' ? { gone: true } : await this.site.awaitLetGo(this.input);
      // A committed recovery has taken the replica: there is nothing left to keep up to date.
      if (gone) this.wanted = 'removed';
    });
    if (!ok) await this.restAfterError();
  }

  async stayPaused(): Promise<void> {
    this.become('paused', null);
    await condition(() => this.wanted !== 'paused');
  }

  /** Tried until it works: a half-removed replica would hold disk space and a target server for ever. */
  async remove(): Promise<void> {
    while (!this.keepsReplica && !(await this.cycle(() => this.site.removeReplica(this.input), false)))
      await this.restAfterError(false);
    this.become('removed', null);
  }

  /** False: it failed, and lastError says how. A cancel by us (pause, remove) is no error. */
  private async cycle(work: () => Promise<void>, interruptible = true): Promise<boolean> {
    const scope = new CancellationScope({ cancellable: true });
    if (interruptible) this.cycling = scope;
    try {
      await scope.run(work);
      this.restMs = firstRestMs;
      return true;
    } catch (error) {
      if (isCancellation(error)) {
        // Temporal's own cancel ends the workflow. Ours ends one activity, and what is wanted may have changed back since.
        if (CancellationScope.current().consideredCancelled) throw error;
        return true;
      }
      this.lastError = classify(error, new Date().toISOString()).message;
      return false;
    } finally {
      this.cycling = null;
    }
  }

  private async restAfterError(interruptible = true): Promise<void> {
    const before = this.wanted;
    const restMs = this.restMs;
    this.restMs = Math.min(restMs * 2, longestRestMs);
    await condition(() => interruptible && this.wanted !== before, restMs);
  }

  private become(state: SessionState, heldBy: string | null): void {
    if (state === this.state && heldBy === this.heldBy) return;
    this.state = state;
    this.heldBy = heldBy;
    this.since = new Date().toISOString();
  }

  private async want(wanted: Wanted): Promise<SessionView> {
    if (this.wanted !== 'removed') this.wanted = wanted;
    this.restMs = firstRestMs;
    if (wanted !== 'replicating') this.cycling?.cancel();
    const reached: Record<Wanted, readonly SessionState[]> = {
      paused: ['paused'],
      replicating: ['replicating', 'frozen'],
      removed: ['removed'],
    };
    await condition(() => this.wanted !== wanted || reached[wanted].includes(this.state));
    return this.view();
  }

  private check(reason: string): void {
    if (reason.trim() === '') refuse('NoReason', 'A change of replication needs a reason: it stands in the record.');
    if (this.wanted === 'removed') refuse('Closed', 'This session is being removed.');
  }

  private checkRemoval({ reason, ofSite }: RemovalRequest): void {
    this.check(reason);
    const { recoverySiteId } = this.input.server;
    if (ofSite !== undefined && ofSite !== recoverySiteId)
      refuse('NotAllowed', `This session replicates to ${recoverySiteId}, not to ${ofSite}.`);
    if (this.heldBy !== null)
      refuse('NotAllowed', `Run ${this.heldBy} holds this replica; abort it or let it end first.`);
  }
}
