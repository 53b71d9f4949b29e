/**
 * People's acts that no worker took in time. They are shown under their request id until their end is known, because
 * they may still take effect when a worker returns. Kept in memory: Temporal is asked for the outcome, this only
 * remembers what to ask for.
 */
import type { ActDocument } from '../schemas/runs';
import type { TemporalGateway } from '../temporal';
import type { Execution } from '../temporal/recoveries';
import type { UpdateAnswer } from '../temporal/updates';

export interface Acts {
  /** `updateId`: under which Temporal knows it. */
  add(act: Omit<ActDocument, 'state' | 'message'>, updateId: string): ActDocument;
  /** The acts of a run, each with what is known of its end now. */
  list(execution: Execution): Promise<ActDocument[]>;
  /** Under which update ids people sent acts with this request id. */
  updateIds(runId: string, requestId: string): string[];
}

/**
 * The name of an act in Temporal. A key belongs to who sent it, and to what they did: an abort is no decision, and two
 * people may both use "key-0001".
 */
export function updateIdOf(
  kind: 'decide' | 'abort' | 'withdraw' | 'hold' | 'go-on' | 'pause' | 'resume' | 'remove',
  personId: string,
  key: string,
): string {
  return `${kind}/${personId}/${key}`;
}

/** A run has few; a client that sends the same again has the same request id. */
const mostPerRun = 20;
const mostRuns = 500;
const waitForOutcomeMs = 300;

export function rememberActs(temporal: TemporalGateway): Acts {
  const byRun = new Map<string, Map<string, ActDocument>>();

  function keep(act: ActDocument, updateId: string): ActDocument {
    const acts = byRun.get(act.runId) ?? new Map<string, ActDocument>();
    acts.set(updateId, act);
    byRun.set(act.runId, acts);
    trim(acts, mostPerRun);
    trim(byRun, mostRuns);
    return act;
  }

  const actsOf = (runId: string): [string, ActDocument][] => [...(byRun.get(runId)?.entries() ?? [])];

  return {
    add: (act, updateId) =>
      keep({ ...act, state: 'pending', message: 'No worker has taken this yet; it acts when one does.' }, updateId),
    async list(execution) {
      return Promise.all(
        actsOf(execution.memo.runId).map(async ([updateId, act]) => {
          if (act.state !== 'pending') return act;
          const answer = await temporal.updateOutcome(execution, updateId, waitForOutcomeMs);
          return keep({ ...act, ...outcomeOf(answer) }, updateId);
        }),
      );
    },
    updateIds: (runId, requestId) =>
      actsOf(runId).flatMap(([updateId, act]) => (act.requestId === requestId ? [updateId] : [])),
  };
}

export function outcomeOf(answer: UpdateAnswer<unknown>): Pick<ActDocument, 'state' | 'message'> {
  switch (answer.kind) {
    case 'accepted':
      return { state: 'accepted', message: null };
    case 'refused':
      return { state: 'refused', message: answer.message };
    case 'pending':
      return { state: 'pending', message: 'No worker has taken this yet; it acts when one does.' };
    case 'unknown':
      return { state: 'lost', message: 'Temporal does not know this act. Send it again under the same request id.' };
  }
}

function trim<K, V>(map: Map<K, V>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
