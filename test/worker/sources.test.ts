import { OperatorError, TransientError } from '../../model/errors';
import type { ServerSpec } from '../../model/server';
import type { Replicas, ReplicationSource } from '../../replication/contract';
import { replicasOfAllSources } from '../../worker/sources';

const serverAt = (siteId: string): ServerSpec =>
  ({ name: 'app01', source: { siteId, machineName: 'app01' } }) as ServerSpec;

/** A source that knows these checkpoints, or fails. */
function source(checkpoints: string[] | Error): ReplicationSource {
  const deleted: string[] = [];
  return {
    checkpoints: async () => {
      if (checkpoints instanceof Error) throw checkpoints;
      return checkpoints.filter((name) => !deleted.includes(name));
    },
    deleteCheckpoint: async (_machine, name) => void deleted.push(name),
  } as Partial<ReplicationSource> as ReplicationSource;
}

/** Replicas that only tell which source they were opened with. */
const open = (of: ReplicationSource): Replicas =>
  ({ cycle: async () => of, remove: async () => of.checkpoints('app01') }) as unknown as Replicas;

test('a cycle goes to the source of its server', async () => {
  const [berlin, hamburg] = [source([]), source([])];
  const replicas = replicasOfAllSources(
    new Map([
      ['berlin', berlin],
      ['hamburg', hamburg],
    ]),
    open,
  );
  expect(await replicas.cycle(serverAt('hamburg'))).toBe(hamburg);
  expect(await replicas.cycle(serverAt('berlin'))).toBe(berlin);
});

test('a server of a source that is not configured waits for an operator', async () => {
  const replicas = replicasOfAllSources(new Map([['berlin', source([])]]), open);
  await expect(replicas.cycle(serverAt('oslo'))).rejects.toThrow(/no source site "oslo": found berlin/);
});

test('removing looks for checkpoints at every source, also where the machine is unknown', async () => {
  const sources = new Map([
    ['a', source(['x'])],
    ['b', source(new OperatorError('no such machine'))],
    ['c', source(['y'])],
  ]);
  expect(await replicasOfAllSources(sources, open).remove('id')).toEqual(['x', 'y']);
});

test('a source that does not answer is not taken for one without checkpoints', async () => {
  const sources = new Map([
    ['a', source(['x'])],
    ['b', source(new TransientError('no answer'))],
  ]);
  await expect(replicasOfAllSources(sources, open).remove('id')).rejects.toThrow('no answer');
});
