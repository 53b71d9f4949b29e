/** Opening what the disk says with few words: long chains are asked about at every cycle. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Qmp } from '../../replication/qmp';
import { openChains } from '../../replication/target-graph';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'muster-graph-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Remembers what it was told, as the target server does. */
function fakeServer(open: string[]) {
  const commands: string[] = [];
  const added: { node: string; backing: unknown }[] = [];
  const execute = (command: string, told: Record<string, unknown> = {}) => {
    commands.push(command);
    if (command === 'query-named-block-nodes') return Promise.resolve(open.map((name) => ({ 'node-name': name })));
    added.push({ node: String(told['node-name']), backing: told['backing'] });
    open.push(String(told['node-name']));
    return Promise.resolve({});
  };
  return { qmp: { execute } as unknown as Qmp, commands, added };
}

test('chains that share files are opened with one question, each file once and on the one before it', async () => {
  const files = Array.from({ length: 30 }, (_, index) => join(folder, `${index}.qcow2`));
  for (const file of files) writeFileSync(file, '');
  const nodes = files.map((file) => `n${statSync(file, { bigint: true }).ino}`);
  const { qmp, commands, added } = fakeServer([nodes[0]!]);
  const chains = files.map((_, index) => files.slice(0, index + 1));
  expect(await openChains(qmp, chains)).toEqual(nodes);
  expect(added).toEqual(nodes.slice(1).map((node, index) => ({ node, backing: nodes[index] })));
  expect(commands.filter((command) => command === 'query-named-block-nodes')).toHaveLength(1);
});
