/** Whether Temporal answers and who polls its queues. */
import type { TemporalContext } from '../temporal';
import { callTemporal } from './errors';

export interface HealthCalls {
  /** @throws Problem `part-unavailable`. */
  pingTemporal(): Promise<void>;
  /** Workers that polled this queue within `withinMs`. Temporal forgets pollers after five minutes. */
  pollers(queue: string, kind: 'workflow' | 'activity', withinMs: number): Promise<number>;
}

/** temporal.api.enums.v1.TaskQueueType */
const queueTypes = { workflow: 1, activity: 2 } as const;

export function healthCalls(context: TemporalContext): HealthCalls {
  const { client } = context;
  const namespace = client.options.namespace;
  return {
    async pingTemporal() {
      await callTemporal(context, () => client.workflowService.describeNamespace({ namespace }));
    },
    async pollers(queue, kind, withinMs) {
      const answer = await callTemporal(context, () =>
        client.workflowService.describeTaskQueue({
          namespace,
          taskQueue: { name: queue },
          taskQueueType: queueTypes[kind],
        }),
      );
      const since = Date.now() - withinMs;
      return answer.pollers.filter((poller) => {
        const seconds = poller.lastAccessTime?.seconds;
        return seconds !== undefined && seconds !== null && Number(seconds.toString()) * 1000 >= since;
      }).length;
    },
  };
}
