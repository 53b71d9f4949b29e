/** Whether Temporal answers and who polls its queues. */
import type { TemporalContext } from '../temporal';
import { callTemporal } from './errors';
import { rememberPollers, type Poll } from './pollers';
import { toTime } from './times';

export interface HealthCalls {
  /** @throws Problem `part-unavailable`. */
  pingTemporal(): Promise<void>;
  /** Workers that polled this queue within `withinMs`, by a clock that nobody sets (pollers.ts). Temporal forgets pollers after five minutes. */
  pollers(queue: string, kind: 'workflow' | 'activity', withinMs: number): Promise<number>;
  /** When a worker last asked this queue for work, by Temporal's clock; null: nobody has, as far as Temporal remembers. */
  lastPoll(queue: string, kind: 'workflow' | 'activity'): Promise<string | null>;
}

/** temporal.api.enums.v1.TaskQueueType */
const queueTypes = { workflow: 1, activity: 2 } as const;

export function healthCalls(context: TemporalContext): HealthCalls {
  const { client } = context;
  const namespace = client.options.namespace;
  const remembered = rememberPollers();
  const pollsOf = async (queue: string, kind: keyof typeof queueTypes): Promise<Poll[]> => {
    const taskQueue = { name: queue };
    const answer = await callTemporal(context, () =>
      client.workflowService.describeTaskQueue({ namespace, taskQueue, taskQueueType: queueTypes[kind] }),
    );
    return answer.pollers.flatMap(({ identity, lastAccessTime }) => {
      const at = toTime(lastAccessTime);
      return at === null ? [] : [{ identity: identity ?? '', at }];
    });
  };
  return {
    async pingTemporal() {
      await callTemporal(context, () => client.workflowService.describeNamespace({ namespace }));
    },
    async pollers(queue, kind, withinMs) {
      return remembered.count(`${kind} ${queue}`, await pollsOf(queue, kind), withinMs);
    },
    lastPoll: async (queue, kind) =>
      (await pollsOf(queue, kind))
        .map(({ at }) => at)
        .sort()
        .at(-1) ?? null,
  };
}
