/**
 * What a plan costs, by the number of its servers: simulated servers on the real stack (Temporal, Postgres, one worker and an API,
 * each a process of its own), and whether its API stays usable meanwhile.
 *
 *   npx tsx bench/plan.ts [servers=50,500] [atOnce=40]
 *
 * Each size gets a stack of its own. A server's cost is its part of the time from the start of the plan until the plan asks for
 * the commit; preparing the servers (a replica each) is not measured. Aims: cost per server within 1.2 times between 50 and
 * 500; start of a plan of 500 to the first step of its first wave below 3 s. docs/scale.md says how to read it.
 */
import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import Table from 'cli-table3';
import { v7 } from 'uuid';
import type { RunDetail } from '../cli/documents';
import { freePort } from '../stack/ports';
import type { ServerSpec } from '../model/server';
import { defaultScope } from '../store/contract';
import { openStore, type OpenStore } from '../store/open-store';
import { startKillableStack, type KillableStack } from '../test/campaign/killable-stack';
import { openSitePair } from '../test/campaign/sites';
import { dataConverter } from '../wire/payloads';
import { decideUpdate, liveRunQuery, planWorkflowId, type Parking } from '../workflows/messages';
import { by, prepareServers, runbookName, runbookOf } from './plan-servers';
import { percentile, seconds } from './shared';

const sizes = (process.argv[2] ?? '50,500').split(',').map(Number);
const atOnce = Number(process.argv[3] ?? 40);
/** These wait for a person at power-on, so that decisions can be timed while the others run. */
const decided = 5;

interface Measured {
  readonly servers: number;
  /** How long the call took that starts the run: the text read again, the site asked, every server's order made. */
  readonly startMs: number;
  /** From that call to the first attempt of a step of a server. */
  readonly firstStepMs: number;
  readonly provenMs: number;
  readonly committedMs: number;
  readonly msPerServer: number;
  readonly steps: number;
  readonly msPerStep: number;
  readonly planEvents: number;
  readonly planHistoryBytes: number;
  readonly workerMiB: number;
  readonly temporalMiB: number;
  readonly postgresMiB: number;
  readonly journalLagMs: { readonly mean: number; readonly below1s: number };
  readonly listMs: { readonly p50: number; readonly p95: number };
  readonly decideMs: { readonly p50: number; readonly max: number };
}

async function measure(count: number): Promise<Measured> {
  process.env['MUSTER_METRICS_WORKER_ADDRESS'] = `127.0.0.1:${await freePort()}`;
  const stack = await startKillableStack();
  const connection = await Connection.connect({ address: stack.temporal.address });
  const store = openStore(stack.postgresUrl);
  try {
    await stack.parts['second-worker'].stop();
    const site = openSitePair(stack.folder, 'calm');
    process.stderr.write(`${count} servers: preparing\n`);
    const servers = await prepareServers(site, count);
    await importRunbook(stack, store, servers);
    const client = new Client({ connection, namespace: stack.temporal.namespace, dataConverter });
    return await run(stack, { client, store }, count);
  } finally {
    await store.close();
    await connection.close();
    await stack.stop();
    await stack.remove();
  }
}

/** As the inventory and the coordinator would have it on the day. */
async function importRunbook(stack: KillableStack, store: OpenStore, servers: readonly ServerSpec[]): Promise<void> {
  for (const server of servers) await store.servers.save(server);
  const imported = await api(stack, 'POST', '/runbooks', { text: runbookOf(servers, { atOnce, decided }) });
  if (imported.status !== 201) throw new Error(`The runbook was not imported: ${JSON.stringify(imported.body)}`);
}

interface Opened {
  readonly client: Client;
  readonly store: OpenStore;
}

async function run(stack: KillableStack, { client, store }: Opened, count: number): Promise<Measured> {
  const watch = watchMemory(stack);
  const list = timeList(stack);
  const startedAt = Date.now();
  const started = performance.now();
  const pushed = await api(stack, 'POST', `/runbooks/${runbookName}/runs`, {
    ...{ mode: 'recovery', intent: 'disaster', reason: 'bench' },
  });
  if (pushed.status !== 201) throw new Error(`The run was not started: ${JSON.stringify(pushed.body)}`);
  const { runId } = pushed.body as { runId: string };
  const handle = client.workflow.getHandle(planWorkflowId(defaultScope.tenantId, runId));
  const runIds = await serversOf(store, runId);
  const decideMs = await decideMeanwhile(stack, runIds.slice(0, decided));
  const gate = await commitGate(handle, count);
  const provenMs = performance.now() - started;
  const { step, item, epoch } = gate;
  await handle.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision: 'commit', reason: 'bench', from: null, input: null, by }],
  });
  const outcome = (await handle.result()) as { state: string };
  const committedMs = performance.now() - started;
  if (outcome.state !== 'succeeded') throw new Error(`The plan ended as ${outcome.state}.`);
  const listMs = await list.stop();
  const memory = await watch.stop();
  const facts = await recorded(store, runIds);
  const { raw } = await handle.describe();
  return {
    servers: count,
    startMs: pushed.ms,
    firstStepMs: Date.parse(facts.firstStepAt) - startedAt,
    provenMs,
    committedMs,
    msPerServer: provenMs / count,
    steps: facts.steps,
    msPerStep: provenMs / facts.steps,
    planEvents: Number(raw.workflowExecutionInfo?.historyLength ?? 0),
    planHistoryBytes: Number(raw.workflowExecutionInfo?.historySizeBytes ?? 0),
    ...memory,
    journalLagMs: await journalLag(),
    listMs: { p50: percentile(listMs, 0.5), p95: percentile(listMs, 0.95) },
    decideMs: { p50: percentile(decideMs, 0.5), max: Math.max(...decideMs) },
  };
}

/** The servers that wait at power-on are let go on through the API, and each call is timed. */
async function decideMeanwhile(stack: KillableStack, runIds: readonly string[]): Promise<number[]> {
  const waiting = [...runIds];
  const times: number[] = [];
  while (waiting.length > 0) {
    for (const runId of [...waiting]) {
      const shown = await api(stack, 'GET', `/runs/${runId}`);
      const parking =
        shown.status === 200
          ? (shown.body as RunDetail).view.parkings.find(({ step, until }) => step === 'power-on' && until === null)
          : undefined;
      if (parking === undefined) continue;
      const { step, item, epoch } = parking;
      const reply = await api(stack, 'POST', `/runs/${runId}/decisions`, {
        step,
        item,
        epoch,
        decision: 'approve',
        reason: 'bench',
      });
      if (reply.status >= 300)
        throw new Error(`The decision was answered ${reply.status}: ${JSON.stringify(reply.body)}`);
      times.push(reply.ms);
      waiting.splice(waiting.indexOf(runId), 1);
    }
    await sleep(500);
  }
  return times;
}

async function api(stack: KillableStack, method: string, path: string, body?: unknown) {
  const began = performance.now();
  const response = await fetch(`${stack.apiUrl}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${stack.token}`, 'content-type': 'application/json', 'idempotency-key': v7() },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const ms = performance.now() - began;
  const answer: unknown = text === '' ? null : JSON.parse(text);
  return { status: response.status, ms, body: answer };
}

async function commitGate(handle: WorkflowHandle, servers: number): Promise<Parking> {
  for (let shown = performance.now(); ; await sleep(500)) {
    const live = await handle.query(liveRunQuery).catch(() => undefined);
    const gate = live?.parkings.find(({ step }) => step === 'commit');
    if (gate !== undefined) return gate;
    const stuck = live?.parkings[0];
    if (stuck !== undefined) throw new Error(`It waits at ${stuck.step}: ${stuck.cause}`);
    if (performance.now() - shown < 30_000) continue;
    shown = performance.now();
    process.stderr.write(`${servers} servers: ${live?.state ?? 'no answer'}\n`);
  }
}

function watchMemory(stack: KillableStack): {
  stop(): Promise<Pick<Measured, 'workerMiB' | 'temporalMiB' | 'postgresMiB'>>;
} {
  const most = { worker: 0, temporal: 0, postgres: 0 };
  const look = async (): Promise<void> => {
    for (const name of ['worker', 'temporal', 'postgres'] as const) {
      const status = await readFile(`/proc/${stack.parts[name].pid()}/status`, 'utf8').catch(() => '');
      most[name] = Math.max(most[name], Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    }
  };
  const timer = setInterval(() => void look(), 500);
  return {
    async stop() {
      clearInterval(timer);
      await look();
      return { workerMiB: most.worker, temporalMiB: most.temporal, postgresMiB: most.postgres };
    },
  };
}

function timeList(stack: KillableStack): { stop(): Promise<number[]> } {
  const times: number[] = [];
  let over = false;
  const asking = (async () => {
    while (!over) {
      times.push((await api(stack, 'GET', '/runs?limit=50')).ms);
      await sleep(1_000);
    }
  })();
  return {
    async stop() {
      over = true;
      await asking;
      return times;
    },
  };
}

/** Runs of its servers, in the order of the runbook, as soon as the record has them. */
async function serversOf(store: OpenStore, planRunId: string): Promise<string[]> {
  for (; ; await sleep(100)) {
    const [opened] = await store.journal.rows(planRunId, 0, 1);
    if (opened === undefined) continue;
    const { order } = JSON.parse(opened.body) as { order: { servers: { runId: string }[] } };
    return order.servers.map(({ runId }) => runId);
  }
}

/** From the records: the first attempt of a step of a server, and how many succeeded. */
async function recorded(store: OpenStore, runIds: readonly string[]): Promise<{ firstStepAt: string; steps: number }> {
  const firsts: string[] = [];
  let steps = 0;
  for (const runId of runIds) {
    const rows = await store.journal.rows(runId, 0, 10_000);
    firsts.push(rows.find(({ kind }) => kind === 'attempt-started')!.at);
    steps += rows.filter(({ kind }) => kind === 'step-done' || kind === 'step-not-applicable').length;
  }
  return { firstStepAt: firsts.sort()[0]!, steps };
}

/** How old the oldest event of a flush was when it was stored, by the worker's own histogram. */
async function journalLag(): Promise<Measured['journalLagMs']> {
  const text = await (await fetch(`http://${process.env['MUSTER_METRICS_WORKER_ADDRESS']}/metrics`)).text();
  const value = (line: string): number =>
    Number(
      text
        .split('\n')
        .find((one) => one.startsWith(line))
        ?.split(' ')[1] ?? 0,
    );
  const name = 'muster_journal_flush_lag_seconds';
  const flushes = value(`${name}_count`);
  return { mean: (1000 * value(`${name}_sum`)) / flushes, below1s: value(`${name}_bucket{le="1"}`) / flushes };
}

function report(all: readonly Measured[]): void {
  const table = new Table({ head: ['', ...all.map(({ servers }) => `${servers} servers`)] });
  const row = (what: string, of: (one: Measured) => string): void => void table.push([what, ...all.map(of)]);
  row('call that starts it, s', (one) => seconds(one.startMs));
  row('button to first step, s', (one) => seconds(one.firstStepMs));
  row('until all are proven, s', (one) => seconds(one.provenMs));
  row('commit of all, s', (one) => seconds(one.committedMs - one.provenMs));
  row('ms a server', (one) => one.msPerServer.toFixed(0));
  row(`against ${all[0]!.servers}`, (one) => `${(one.msPerServer / all[0]!.msPerServer).toFixed(2)}×`);
  row('ms a step', (one) => one.msPerStep.toFixed(1));
  row('worker, MiB', (one) => one.workerMiB.toFixed(0));
  row('Temporal, MiB', (one) => one.temporalMiB.toFixed(0));
  row('journal lag mean, ms', (one) => one.journalLagMs.mean.toFixed(0));
  row('flushes within 1 s', (one) => `${(100 * one.journalLagMs.below1s).toFixed(0)} %`);
  row('GET /runs p50 / p95, ms', (one) => `${one.listMs.p50.toFixed(0)} / ${one.listMs.p95.toFixed(0)}`);
  row('decision p50 / max, ms', (one) => `${one.decideMs.p50.toFixed(0)} / ${one.decideMs.max.toFixed(0)}`);
  row('events of the plan', (one) => String(one.planEvents));
  row('history of the plan, MB', (one) => (one.planHistoryBytes / 1e6).toFixed(1));
  console.log(table.toString());
  console.log(JSON.stringify({ atOnce, all }));
}

async function main(): Promise<void> {
  const all: Measured[] = [];
  for (const size of sizes) all.push(await measure(size));
  report(all);
}

void main();
