/** What platforms/contract.ts promises of networks that Muster makes, as tests for drivers that declare the ability. */
import { randomUUID } from 'node:crypto';
import type { MachineRef, MachineSpec, NetworkRef, Platform } from '../../platforms/contract';

type Fail = (promise: Promise<unknown>, family: 'OperatorError' | 'PermanentError', text?: RegExp) => Promise<Error>;

export interface NetworksUnderTest {
  readonly platform: () => Platform;
  readonly tenantId: () => string;
  readonly specFor: (change?: Partial<MachineSpec>) => MachineSpec;
  readonly refOf: (spec: MachineSpec) => MachineRef;
  /** A network of the configuration. */
  readonly configured: () => string;
  readonly expectFailure: Fail;
}

/** `made`: whether the platform makes its machines; one of given machines makes no networks either. */
export function describeNetworks(made: boolean, under: NetworksUnderTest): void {
  if (!made) return describeNone(under);
  const { platform, specFor, refOf, expectFailure } = under;
  const freshNetwork = (): NetworkRef => ({
    name: `muster-${randomUUID().slice(0, 8)}-1`,
    owner: { tenantId: under.tenantId(), runId: randomUUID() },
  });
  const found = async (name: string) => (await platform().networks()).find((network) => network.name === name);
  const pluggedInto = (network: NetworkRef) =>
    specFor({ nics: [{ index: 0, macAddress: '52:54:00:aa:bb:07', network: network.name }] });

  test('a network that was made leads nowhere, and says whose it is; made again it is the same one', async () => {
    const network = freshNetwork();
    await platform().createNetwork(network);
    await platform().createNetwork(network);
    expect(await found(network.name)).toEqual({ ...network, active: true, uplinks: [], plugged: [] });
    await platform().removeNetwork(network);
    await platform().removeNetwork(network);
    expect(await found(network.name)).toBeUndefined();
  });

  test('made twice at the same time, it is made once', async () => {
    const network = freshNetwork();
    await Promise.all([platform().createNetwork(network), platform().createNetwork(network)]);
    expect((await platform().networks()).filter(({ name }) => name === network.name)).toHaveLength(1);
    await Promise.all([platform().removeNetwork(network), platform().removeNetwork(network)]);
    expect(await found(network.name)).toBeUndefined();
  });

  test('a machine runs on it, is seen plugged in, and keeps it from being removed', async () => {
    const network = freshNetwork();
    await platform().createNetwork(network);
    const spec = pluggedInto(network);
    await platform().create(spec);
    await platform().power(refOf(spec), 'on');
    const [nic] = (await platform().find(spec.name))!.nics;
    expect(nic).toMatchObject({ network: network.name, macAddress: '52:54:00:aa:bb:07' });
    expect(await found(network.name)).toMatchObject({
      uplinks: [],
      plugged: [{ machine: spec.name, macAddress: '52:54:00:aa:bb:07' }],
    });
    await expectFailure(platform().removeNetwork(network), 'OperatorError', new RegExp(spec.name));
    await platform().power(refOf(spec), 'off');
    await platform().remove(refOf(spec));
    await platform().removeNetwork(network);
    expect(await found(network.name)).toBeUndefined();
  });

  test('another run neither takes the network over nor removes it', async () => {
    const network = freshNetwork();
    await platform().createNetwork(network);
    const other = { ...network, owner: { ...network.owner, runId: randomUUID() } };
    await expectFailure(platform().createNetwork(other), 'OperatorError', new RegExp(network.owner.runId));
    await expectFailure(platform().removeNetwork(other), 'OperatorError', new RegExp(network.owner.runId));
    expect(await found(network.name)).toBeDefined();
    await platform().removeNetwork(network);
  });

  test('a name of the configuration is not taken', async () => {
    const network = { ...freshNetwork(), name: under.configured() };
    await expectFailure(platform().createNetwork(network), 'OperatorError', /taken/);
  });

  test('a machine of another tenant is not plugged into it', async () => {
    const network = freshNetwork();
    await platform().createNetwork(network);
    const spec = { ...pluggedInto(network), owner: { tenantId: `${under.tenantId()}-other`, runId: randomUUID() } };
    await expectFailure(platform().create(spec), 'PermanentError', new RegExp(network.name));
    await platform().removeNetwork(network);
  });

  test('the inventory names a machine and a network with their run, and no more when they are gone', async () => {
    const network = freshNetwork();
    await platform().createNetwork(network);
    const spec = pluggedInto(network);
    await platform().create(spec);
    const items = await platform().inventory();
    expect(items).toContainEqual(
      expect.objectContaining({
        kind: 'machine',
        name: spec.name,
        runId: spec.owner.runId,
        state: expect.stringContaining('off'),
      }),
    );
    expect(items).toContainEqual({ kind: 'network', name: network.name, state: 'active', runId: network.owner.runId });
    await platform().remove(refOf(spec));
    await platform().removeNetwork(network);
    const names = (await platform().inventory()).map(({ name }) => name);
    expect(names).not.toContain(spec.name);
    expect(names).not.toContain(network.name);
  });
}

function describeNone({ platform, tenantId, expectFailure }: NetworksUnderTest): void {
  test('no network is made for machines that are given, and it is said why', async () => {
    expect(platform().capabilities.isolatedNetworks).toBe(false);
    const network = { name: 'muster-1', owner: { tenantId: tenantId(), runId: randomUUID() } };
    await expectFailure(platform().createNetwork(network), 'PermanentError', /declares as isolated/);
    await platform().removeNetwork(network);
    expect(await platform().networks()).toEqual([]);
  });
}
