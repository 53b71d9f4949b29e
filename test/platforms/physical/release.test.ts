/** Giving a machine's claim up by a person's decision, after its run is over. */
import type { Owner } from '../../../platforms/contract';
import type { PhysicalMachine } from '../../../platforms/physical/machine';
import { expectFailure } from '../conformance';
import { addMachine, claimFor, openTestSite, type TestSite } from './machine';

let site: TestSite;
beforeEach(async () => {
  site = await openTestSite();
});
afterEach(() => site?.close());

async function claimed(change: Partial<PhysicalMachine> = {}) {
  const machine = addMachine(site, change);
  const { spec, ref } = claimFor(machine);
  await site.platform.create(spec);
  return { machine, ref };
}

const release = (ref: { name: string; owner: Owner }, switchedOff = false) =>
  site.platform.given!.release(ref, { switchedOff });
const holding = async (name: string) => (await site.platform.given!.holdings()).find((one) => one.name === name);

test('a machine is listed with the run that holds it, released, and then free for the next run', async () => {
  const { machine, ref } = await claimed();
  expect(await holding(machine.name)).toMatchObject({
    hardware: 'physical-nvme',
    switchedBy: 'controller',
    power: 'off',
    claim: { tenantId: 'main', runId: ref.owner.runId, poweredOnAt: null },
    devices: [machine.disks[0]!.device],
  });
  expect(await release(ref)).toEqual({ released: true });
  expect(await holding(machine.name)).toMatchObject({ claim: null });
  expect(await release(ref)).toEqual({ released: false });
  await site.platform.create(claimFor(machine).spec);
});

test("another run's claim stays: what was decided was decided for the run that was seen", async () => {
  const { machine, ref } = await claimed();
  const earlier = claimFor(machine).ref;
  await expectFailure(release(earlier), 'OperatorError', new RegExp(`claimed by run ${ref.owner.runId}`));
  expect(await holding(machine.name)).toMatchObject({ claim: { runId: ref.owner.runId } });
});

test('a machine that is on, or whose controller does not tell, is not released', async () => {
  const { machine, ref } = await claimed();
  site.redfish.states.set(machine.name, 'On');
  await expectFailure(release(ref), 'OperatorError', /is not released: found it is on, needed a machine that is off/);
  site.redfish.fault = () => ({ status: 503 });
  expect(await holding(machine.name)).toMatchObject({ power: null, claim: { runId: ref.owner.runId } });
  await expectFailure(release(ref), 'TransientError');
  site.redfish.fault = null;
  expect(await holding(machine.name)).toMatchObject({ power: 'on', claim: { runId: ref.owner.runId } });
});

test('where a person switches, somebody has to say that it is off', async () => {
  const instructions = 'Rack 7 in hall 2: press the button.';
  const { machine, ref } = await claimed({ power: { kind: 'person', instructions } });
  await site.platform.power(ref, 'on');
  await expectFailure(release(ref), 'OperatorError', /it is on, as far as Muster was told.*Rack 7 .*--switched-off/);
  expect(await release(ref, true)).toEqual({ released: true });
  expect(await holding(machine.name)).toMatchObject({ switchedBy: 'person', power: 'off', claim: null });
});

test('what is left of a machine that stands in no configuration any more is listed and released', async () => {
  const { machine, ref } = await claimed();
  site.machines.splice(0);
  expect(await holding(machine.name)).toMatchObject({ hardware: null, claim: { runId: ref.owner.runId } });
  expect(await release(ref)).toEqual({ released: true });
  expect(await site.platform.given!.holdings()).toEqual([]);
});
