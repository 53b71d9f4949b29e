/**
 * What a durable, recorded step costs: against a bare Temporal activity in sequence, and against a task of ansible-core
 * on localhost. All in one run, on one server, taking turns, so that a slow machine is slow for all of them.
 *
 *   npx tsx bench/step.ts [steps=100] [rounds=5]
 *
 * Prints a table and one line of JSON. Aims: at most 1.3 times the bare activity; at least 5 times quicker than Ansible.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import Table from 'cli-table3';
import { v7 } from 'uuid';
import { createJournalActivities } from '../activities/journal';
import { runProgram } from '../programs/run';
import { openStore } from '../store/open-store';
import globalSetup, { testNamespace } from '../test/support/global-setup';
import globalTeardown from '../test/support/global-teardown';
import { makeOrder } from '../test/support/order';
import { withDb } from '../test/support/postgres';
import { journalQueue } from '../workflows/messages';

const steps = Number(process.argv[2] ?? 100);
const rounds = Number(process.argv[3] ?? 5);

type Form = 'bare activity' | 'recorded step' | 'ansible task';

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  await globalSetup();
  const ansible = await prepareAnsible();
  try {
    const times = await withDb((db) => measure(db.url, ansible));
    report(times);
  } finally {
    await globalTeardown();
  }
}

async function measure(databaseUrl: string, ansible: Ansible): Promise<Record<Form, number[]>> {
  const address = process.env['MUSTER_TEST_TEMPORAL']!;
  const nativeConnection = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  const store = openStore(databaseUrl);
  const common = { connection: nativeConnection, namespace: testNamespace };
  const workers = [
    await Worker.create({
      ...common,
      taskQueue: 'bench',
      workflowsPath: require.resolve('./step-workflows'),
      activities: {
        nothing: async () => ({
          result: null,
          at: new Date().toISOString(),
          durationMs: 0,
          worker: 'bench',
          evidence: [],
        }),
      },
    }),
    await Worker.create({ ...common, taskQueue: journalQueue, activities: createJournalActivities(store) }),
  ];
  const running = workers.map((worker) => worker.run());
  const client = new Client({ connection, namespace: testNamespace });
  const start = (type: string, args: unknown[]): Promise<unknown> =>
    client.workflow.execute(type, { taskQueue: 'bench', workflowId: v7(), args });
  const forms: Record<Form, () => Promise<unknown>> = {
    'bare activity': () => start('bareSteps', [steps]),
    'recorded step': () => start('recordedSteps', [makeOrder({ runId: v7() }), steps]),
    'ansible task': () => ansible.play(steps),
  };
  const times: Record<Form, number[]> = { 'bare activity': [], 'recorded step': [], 'ansible task': [] };
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const form of Object.keys(forms) as Form[]) {
        // Ansible's start-up is not a task's cost: what a playbook without tasks takes is taken off.
        const before = performance.now();
        await forms[form]();
        const tookMs = performance.now() - before - (form === 'ansible task' ? ansible.startMs : 0);
        // The first round warms up caches and connections of all three.
        if (round > 0) times[form].push(tookMs / steps);
      }
    }
    return times;
  } finally {
    workers.forEach((worker) => worker.shutdown());
    await Promise.all(running);
    await store.close();
    await connection.close();
    await nativeConnection.close();
    await ansible.remove();
  }
}

interface Ansible {
  readonly startMs: number;
  play(tasks: number): Promise<void>;
  remove(): Promise<void>;
}

/** ansible-core from PyPI in a virtual environment of its own, thrown away afterwards. */
async function prepareAnsible(): Promise<Ansible> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-bench-'));
  await runProgram('python3', ['-m', 'venv', join(folder, 'venv')]);
  await runProgram(join(folder, 'venv/bin/pip'), ['install', '--quiet', 'ansible-core'], { timeoutMs: 300_000 });
  const play = async (tasks: number): Promise<void> => {
    const file = join(folder, `play-${tasks}.yml`);
    const list = Array.from({ length: tasks }, () => '    - ansible.builtin.command: "true"\n').join('');
    await writeFile(
      file,
      `- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n${list || '    []\n'}`,
    );
    const env = { ANSIBLE_LOCALHOST_WARNING: 'false', ANSIBLE_HOME: folder };
    await runProgram(
      join(folder, 'venv/bin/ansible-playbook'),
      ['-i', 'localhost,', '-e', `ansible_python_interpreter=${join(folder, 'venv/bin/python')}`, file],
      { env },
    );
  };
  await play(0);
  const before = performance.now();
  await play(0);
  return { startMs: performance.now() - before, play, remove: () => rm(folder, { recursive: true, force: true }) };
}

function report(times: Record<Form, number[]>): void {
  const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
  const bare = median(times['bare activity']);
  const table = new Table({ head: ['form', 'median ms a step', 'min', 'max', 'against bare'] });
  for (const [form, values] of Object.entries(times)) {
    const middle = median(values);
    table.push([
      form,
      middle.toFixed(1),
      Math.min(...values).toFixed(1),
      Math.max(...values).toFixed(1),
      `${(middle / bare).toFixed(2)}×`,
    ]);
  }
  console.log(table.toString());
  const recorded = median(times['recorded step']);
  console.log(
    JSON.stringify({
      steps,
      rounds,
      recordedAgainstBare: recorded / bare,
      ansibleAgainstRecorded: median(times['ansible task']) / recorded,
      times,
    }),
  );
}

void main();
