/** What the campaign's persons do through the API: everything is sent again, under the same key, until it is answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DecisionKind } from '../../model/steps';
import type { ParkingView } from '../../model/run-view';
import type { ApiClient, Reply } from './api-client';

/** One thing that a person did, and what became of it. */
export interface Act {
  readonly decision: DecisionKind;
  /** 0: an abort of the whole run. */
  readonly epoch: number;
  readonly answers: readonly string[];
}

export interface Push {
  readonly path: string;
  readonly body: object;
  readonly key: string;
  /** Pressed twice at once, and once more. */
  readonly impatient: boolean;
}

const lookEveryMs = 500;

/** Pushes under one key; whoever answers must name one and the same run: other answers become findings. */
export async function push(api: ApiClient, { path, body, key, impatient }: Push, findings: string[]): Promise<string> {
  const pushOnce = (): Promise<Reply> => api.call('POST', path, { body, key });
  const replies = impatient ? await Promise.all([pushOnce(), pushOnce()]) : [await pushOnce()];
  if (impatient) replies.push(await pushOnce());
  const runIds = new Set(replies.map((reply) => reply.body.runId as string | undefined));
  if (runIds.size !== 1 || replies.some((reply) => reply.status > 201)) {
    findings.push(`one button, several answers: ${replies.map(describeReply).join(' | ')}`);
  }
  const [runId] = runIds;
  if (runId === undefined) throw new Error(`The button was refused: ${replies.map(describeReply).join(' | ')}`);
  return runId;
}

/** Sends it until it is settled; an impatient person sends the same twice at once, and once more when it is done. */
export async function act(api: ApiClient, { path, body, key, impatient }: Push): Promise<string[]> {
  const send = (): Promise<string> => settled(api, path, body, key);
  if (!impatient) return [await send()];
  return [...(await Promise.all([send(), send()])), await send()];
}

/** Until it is accepted or refused for good; `pending` is asked again under the same key. */
async function settled(api: ApiClient, path: string, body: object, key: string): Promise<string> {
  for (;;) {
    const reply = await api.call('POST', path, { body, key });
    if (reply.status === 200) return 'accepted';
    if (reply.status !== 202) return describeReply(reply);
    await sleep(lookEveryMs);
  }
}

export function describeReply({ status, body }: Reply): string {
  const { refusal, detail, title } = body ?? {};
  return [status, refusal, detail ?? title].filter((part) => part !== undefined).join(' ');
}

/** Faults strike once or twice and kills rarely three times in a row: what stays stuck longer will stay so for ever. */
const mostRetries = 8;

/** Counts the retries of each place. @throws when one is stuck for good. */
export function retryCounter(): (runId: string, parking: ParkingView) => void {
  const retries = new Map<string, number>();
  return (runId, { step, item, undo, cause }) => {
    const place = [undo ? 'undo of' : '', step, item ?? ''].join(' ').trim();
    const key = `${runId} ${place}`;
    const count = (retries.get(key) ?? 0) + 1;
    retries.set(key, count);
    if (count > mostRetries) throw new Error(`${place} is still stuck after ${mostRetries} retries: ${cause}`);
  };
}
