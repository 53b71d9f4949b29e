/** What platforms/contract.ts promises, as tests that every driver has to pass. */
import { randomUUID } from 'node:crypto';
import { hardwareProfiles, virtualProfiles } from '../../model/server';
import type { ErrorFamily } from '../../model/errors';
import type { MachineDisk, MachineRef, MachineSpec, Platform } from '../../platforms/contract';
import { describeNetworks } from './conformance-networks';

export interface PlatformUnderTest {
  /** Of all machines that the suite makes, so that cleaning up touches nobody else's. */
  readonly tenantId: string;
  readonly platform: Platform;
  /** A network of this platform, and one that is isolated. */
  readonly network: string;
  readonly isolatedNetwork: string;
  /** Makes a small empty disk and tells where. */
  newDisk(index: number): Promise<MachineDisk>;
  /** Makes an overlay on a disk; both bytes and format are the driver's own. */
  newOverlay(base: MachineDisk): Promise<MachineDisk>;
  /** Makes a machine that is not Muster's, as another tool would. */
  makeForeign(name: string): Promise<void>;
  /** For a platform of given machines: a machine of this name is there, as the specification describes it. */
  expectMachine?(spec: MachineSpec): void;
  /** Ends what the test made, whatever it was. */
  cleanUp(): Promise<void>;
}

const mib = 1024 ** 2;

/** Rejects in that family; told apart by name, because jest's realms break `instanceof`. */
export async function expectFailure(promise: Promise<unknown>, family: ErrorFamily, text?: RegExp): Promise<Error> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  expect(error?.name).toBe(family);
  if (text) expect(error?.message).toMatch(text);
  return error!;
}

/** What a driver declares; promises that do not apply to it are not asked of it. */
export interface Traits {
  /** `given`: machines are there before any run, and stay; nothing but the contract's own words for them is asked. */
  readonly machines: 'made' | 'given';
  readonly hardware: readonly string[];
}

const hypervisor: Traits = { machines: 'made', hardware: virtualProfiles };

/** `title`: what the driver is called in the report. `make` gives a fresh platform for each test. */
export function describePlatform(title: string, make: () => Promise<PlatformUnderTest>, traits = hypervisor): void {
  const made = traits.machines === 'made';

  describe(`the platform contract, kept by ${title}`, () => {
    let under: PlatformUnderTest;
    let platform: Platform;

    beforeEach(async () => {
      under = await make();
      platform = under.platform;
    });
    afterEach(() => under?.cleanUp());

    /** A name that no other test, and no other process on this host, has. */
    const freshName = () => `conf-${randomUUID().slice(0, 13)}`;
    const specFor = (change: Partial<MachineSpec> = {}): MachineSpec => {
      const spec = {
        name: freshName(),
        uuid: randomUUID(),
        owner: { tenantId: under.tenantId, runId: randomUUID() },
        cpuCount: 1,
        memoryBytes: 64 * mib,
        firmware: 'bios' as const,
        hardware: hardwareProfiles[traits.hardware[0]!]!,
        nics: [{ index: 0, macAddress: '52:54:00:aa:bb:01', network: under.isolatedNetwork }],
        ...change,
      };
      under.expectMachine?.(spec);
      return spec;
    };
    /** A machine that was made is gone; one that was given is nobody's. */
    const expectGone = async (name: string) => {
      if (made) expect(await platform.find(name)).toBeUndefined();
      else expect(await platform.find(name)).toMatchObject({ owner: null, disks: [] });
    };
    const refOf = (spec: MachineSpec): MachineRef => ({ name: spec.name, owner: spec.owner });
    const stranger = (spec: MachineSpec): MachineRef => ({
      name: spec.name,
      owner: { tenantId: under.tenantId, runId: randomUUID() },
    });

    async function withDisk(spec: MachineSpec): Promise<MachineDisk> {
      await platform.create(spec);
      const disk = await under.newDisk(0);
      await platform.attachDisk(refOf(spec), disk);
      return disk;
    }

    test('its health names the networks and which of them are isolated', async () => {
      const health = await platform.health();
      expect(health.kind).toBe(platform.kind);
      expect(health.networks).toContainEqual({ name: under.isolatedNetwork, isolated: true });
      expect(health.networks).toContainEqual({ name: under.network, isolated: false });
      expect(health.memoryFreeBytes).toBeGreaterThan(mib);
    });

    test.each(traits.hardware.map((id) => hardwareProfiles[id]!))(
      'a machine with the hardware $id reads back as it was asked for',
      async (hardware) => {
        const nics = [
          { index: 0, macAddress: '52:54:00:aa:bb:01', network: under.isolatedNetwork },
          { index: 1, macAddress: '52:54:00:aa:bb:02', network: under.network },
        ];
        const spec = specFor({ hardware, nics, memoryBytes: 96 * mib, cpuCount: 2 });
        const disk = await withDisk(spec);
        expect(await platform.find(spec.name)).toMatchObject({
          name: spec.name,
          uuid: spec.uuid,
          owner: spec.owner,
          power: 'off',
          cpuCount: 2,
          memoryBytes: 96 * mib,
          firmware: 'bios',
          nics: nics.map((nic) => ({ ...nic, model: hardware.nicModel })),
          disks: [{ index: 0, path: disk.path, controller: hardware.diskController, sizeBytes: disk.sizeBytes }],
          bootId: null,
        });
      },
    );

    test('creating twice, in turn and at once, makes one machine and keeps its disks', async () => {
      const spec = specFor();
      const both = await Promise.all([platform.create(spec), platform.create(spec)]);
      expect(both.map((machine) => machine.uuid)).toEqual([spec.uuid, spec.uuid]);
      const disk = await under.newDisk(0);
      await platform.attachDisk(refOf(spec), disk);
      expect((await platform.create(spec)).disks.map((other) => other.path)).toEqual([disk.path]);
      expect((await platform.list()).filter((machine) => machine.name === spec.name)).toHaveLength(1);
    });

    test("another run's machine is refused as well", async () => {
      const spec = specFor();
      await platform.create(spec);
      await expectFailure(platform.remove(stranger(spec)), 'OperatorError', new RegExp(spec.owner.runId));
      await expectFailure(platform.remove({ name: spec.name, owner: null }), 'OperatorError');
      await expectFailure(platform.create({ ...spec, owner: stranger(spec).owner! }), 'OperatorError', /is taken/);
      expect(await platform.find(spec.name)).toBeDefined();
    });

    test('a uuid that another machine has is refused', async () => {
      const first = specFor();
      await platform.create(first);
      await expectFailure(platform.create(specFor({ uuid: first.uuid })), 'OperatorError');
    });

    test('a network that does not exist is refused for good, and no machine is left', async () => {
      const spec = specFor({ nics: [{ index: 0, macAddress: '52:54:00:aa:bb:01', network: 'nowhere' }] });
      await expectFailure(platform.create(spec), 'PermanentError', /nowhere/);
      await expectGone(spec.name);
    });

    test('what is absent is already removed and detached; everything else asks for the machine', async () => {
      const ref = { name: freshName(), owner: specFor().owner };
      const disk = await under.newDisk(0);
      await platform.remove(ref);
      await platform.detachDisk(ref, disk);
      await platform.unregisterDisk(ref, disk);
      expect(await platform.find(ref.name)).toBeUndefined();
      const command = { path: '/bin/true', args: [], timeoutMs: 1000 };
      const calls = [
        () => platform.attachDisk(ref, disk),
        () => platform.registerDisk(ref, disk),
        () => platform.power(ref, 'on'),
        () => platform.power(ref, 'off'),
        () => platform.power(ref, 'shutdown'),
        () => platform.mergeDisk(ref, disk, disk.path),
        () => platform.runInGuest(ref.name, command),
        () => platform.look(ref.name),
      ];
      for (const call of calls) await expectFailure(call(), 'OperatorError', /there is no machine/);
    });

    test('a disk is attached once however often it is asked for, and another one in its place is refused', async () => {
      const spec = specFor();
      await platform.create(spec);
      const disk = await under.newDisk(0);
      const other = await under.newDisk(0);
      await Promise.all([platform.attachDisk(refOf(spec), disk), platform.attachDisk(refOf(spec), disk)]);
      await platform.attachDisk(refOf(spec), disk);
      await expectFailure(platform.attachDisk(refOf(spec), other), 'OperatorError', /at this place/);
      await expectFailure(platform.attachDisk(refOf(spec), { ...disk, index: 1 }), 'OperatorError', /at place 0/);
      expect((await platform.find(spec.name))?.disks.map(({ path }) => path)).toEqual([disk.path]);
      await Promise.all([platform.detachDisk(refOf(spec), disk), platform.detachDisk(refOf(spec), disk)]);
      await platform.detachDisk(refOf(spec), disk);
      expect((await platform.find(spec.name))?.disks).toEqual([]);
    });

    test('a disk whose file is missing is refused for good', async () => {
      const spec = specFor();
      await platform.create(spec);
      const gone = { ...(await under.newDisk(0)), path: '/nonexistent/disk.img' };
      await expectFailure(platform.attachDisk(refOf(spec), gone), 'PermanentError', /no such file/i);
      if (made) await expectFailure(platform.registerDisk(refOf(spec), gone), 'PermanentError', /no such file/i);
    });

    test('a registered disk is read by the platform itself, and forgotten again', async () => {
      const spec = specFor();
      const disk = await withDisk(spec);
      const ref = refOf(spec);
      const both = await Promise.all([platform.registerDisk(ref, disk), platform.registerDisk(ref, disk)]);
      for (const found of both) expect(found).toEqual({ sizeBytes: disk.sizeBytes, format: disk.format });
      await platform.unregisterDisk(ref, disk);
      await platform.unregisterDisk(ref, disk);
      expect(await platform.registerDisk(ref, disk)).toEqual({ sizeBytes: disk.sizeBytes, format: disk.format });
      await platform.unregisterDisk(ref, disk);
    });

    test('two powers-on at once start the machine once; off during on ends in one of both', async () => {
      const spec = specFor();
      await withDisk(spec);
      const ref = refOf(spec);
      await Promise.all([platform.power(ref, 'on'), platform.power(ref, 'on')]);
      expect((await platform.find(spec.name))?.power).toBe('on');
      await platform.power(ref, 'on');
      await Promise.all([platform.power(ref, 'off'), platform.power(ref, 'off')]);
      expect((await platform.find(spec.name))?.power).toBe('off');
      await platform.power(ref, 'off');
      await Promise.all([platform.power(ref, 'on'), platform.power(ref, 'off')]);
      expect(['on', 'off']).toContain((await platform.find(spec.name))?.power);
      await platform.power(ref, 'off');
      expect((await platform.find(spec.name))?.power).toBe('off');
    });

    test('a machine that is on is neither removed nor stripped of its disk', async () => {
      const spec = specFor();
      const disk = await withDisk(spec);
      const ref = refOf(spec);
      await platform.power(ref, 'on');
      await expectFailure(platform.remove(ref), 'OperatorError', /is on/);
      await expectFailure(platform.detachDisk(ref, disk), 'OperatorError', /is on/);
      await platform.power(ref, 'off');
      await platform.remove(ref);
      await platform.remove(ref);
      await expectGone(spec.name);
      const ours = expect.objectContaining({ name: spec.name, owner: spec.owner });
      expect(await platform.list()).not.toContainEqual(ours);
    });

    test('a call with an aborted signal rejects with its reason and changes nothing', async () => {
      const spec = specFor();
      const disk = await withDisk(spec);
      const ref = refOf(spec);
      const reason = new Error('the run was aborted');
      const options = { signal: AbortSignal.abort(reason) };
      const command = { path: '/bin/true', args: [], timeoutMs: 1000 };
      const calls = [
        () => platform.health(options),
        () => platform.list(options),
        () => platform.find(spec.name, options),
        () => platform.create(specFor(), options),
        () => platform.remove(ref, options),
        () => platform.detachDisk(ref, disk, options),
        () => platform.registerDisk(ref, disk, options),
        () => platform.unregisterDisk(ref, disk, options),
        () => platform.power(ref, 'on', options),
        () => platform.power(ref, 'shutdown', options),
        () => platform.runInGuest(spec.name, command, options),
        () => platform.look(spec.name, options),
        () => platform.mergeDisk(ref, disk, disk.path, options),
      ];
      for (const call of calls) await expect(call()).rejects.toBe(reason);
      expect(await platform.find(spec.name)).toMatchObject({ power: 'off', disks: [{ path: disk.path }] });
    });

    test('an abort in mid-call ends the wait, and the same call afterwards succeeds', async () => {
      const spec = specFor();
      const reason = new Error('enough');
      for (const delayMs of [0, 5, 20]) {
        const controller = new AbortController();
        setTimeout(() => controller.abort(reason), delayMs);
        const outcome = await platform.create(spec, { signal: controller.signal }).catch((error: unknown) => error);
        expect([reason, expect.objectContaining({ uuid: spec.uuid })]).toContainEqual(outcome);
      }
      expect((await platform.create(spec)).uuid).toBe(spec.uuid);
    });

    test.each(['', '.', '..', ' padded', 'a/b', 'a\nb', 'nul\u0000', 'esc\u001b[2J', '\ud800', 'x'.repeat(201)])(
      'the name %j is refused for good',
      async (name) => {
        await expectFailure(platform.create(specFor({ name })), 'PermanentError', /machine name cannot be used/);
      },
    );

    // What follows is about machines that a run makes, and about hypervisors: with an agent, a screen and a merge.
    if (!made) return;

    test("a name on somebody else's machine is refused, and that machine is left alone", async () => {
      const spec = specFor();
      await under.makeForeign(spec.name);
      const before = await platform.find(spec.name);
      const disk = await under.newDisk(0);
      const ref = refOf(spec);
      const calls = [
        () => platform.create(spec),
        () => platform.attachDisk(ref, disk),
        () => platform.detachDisk(ref, disk),
        () => platform.power(ref, 'on'),
        () => platform.power(ref, 'off'),
        () => platform.power(ref, 'shutdown', { deadlineMs: 100 }),
        () => platform.mergeDisk(ref, disk, disk.path),
        () => platform.remove(ref),
      ];
      for (const call of calls) await expectFailure(call(), 'OperatorError', /is taken/);
      expect(await platform.find(spec.name)).toEqual(before);
      expect(before?.owner).toBeNull();
    });

    test('a guest without an agent: probes and shutdown fail for now, and it can be looked at', async () => {
      const spec = specFor();
      await withDisk(spec);
      const ref = refOf(spec);
      expect(await platform.look(spec.name)).toEqual({ png: null, consoleText: null });
      await platform.power(ref, 'on');
      const command = { path: '/bin/true', args: [], timeoutMs: 1000 };
      await expectFailure(platform.runInGuest(spec.name, command), 'TransientError', /agent/);
      await expectFailure(platform.power(ref, 'shutdown', { deadlineMs: 300 }), 'TransientError', /does not shut down/);
      const { png } = await platform.look(spec.name);
      expect(png?.subarray(0, 8)).toEqual(Buffer.from('89504e470d0a1a0a', 'hex'));
      await platform.power(ref, 'off');
      await platform.power(ref, 'shutdown');
    });

    test('a disk that a running machine has open cannot be opened by a second one', async () => {
      const first = specFor();
      const second = specFor();
      const disk = await withDisk(first);
      await platform.create(second);
      await platform.attachDisk(refOf(second), disk);
      await platform.power(refOf(first), 'on');
      await expectFailure(platform.power(refOf(second), 'on'), 'OperatorError');
      expect((await platform.find(second.name))?.power).toBe('off');
      await platform.power(refOf(first), 'off');
      await platform.power(refOf(second), 'on');
      await platform.power(refOf(second), 'off');
    });

    test.each(['off', 'on'] as const)(
      'an overlay is merged while the machine is %s; again is already so',
      async (state) => {
        const spec = specFor();
        await platform.create(spec);
        const ref = refOf(spec);
        const base = await under.newDisk(0);
        const overlay = await under.newOverlay(base);
        await platform.attachDisk(ref, overlay);
        if (state === 'on') await platform.power(ref, 'on');
        await platform.mergeDisk(ref, overlay, base.path);
        await platform.mergeDisk(ref, overlay, base.path);
        const merged = await platform.find(spec.name);
        expect(merged?.power).toBe(state);
        expect(merged?.disks.map(({ path, format }) => ({ path, format }))).toEqual([
          { path: base.path, format: base.format },
        ]);
        await platform.power(ref, 'off');
        await platform.power(ref, 'on');
        await platform.power(ref, 'off');
      },
    );

    const hostileNames = [
      `7${'0'.repeat(8)}`,
      '-x --force',
      '$(touch owned); rm -rf "~" \'&\' | #',
      '<name>&amp;]]>',
      'Zürich 東京 🚒',
      'a.b\\c%2Fd*e?',
      randomUUID(),
    ];
    test.each(hostileNames)('the name %j is a name like any other', async (hostile) => {
      // A suffix of its own keeps runs of this suite on one host apart; digits stay digits.
      const suffix = /^\d+$/.test(hostile) ? String(Date.now() % 1000) : ` ${randomUUID().slice(0, 8)}`;
      const spec = specFor({ name: `${hostile}${suffix}` });
      await withDisk(spec);
      await platform.power(refOf(spec), 'on');
      expect(await platform.find(spec.name)).toMatchObject({ name: spec.name, uuid: spec.uuid, power: 'on' });
      expect(await platform.list()).toContainEqual(expect.objectContaining({ name: spec.name }));
      await platform.power(refOf(spec), 'off');
      await platform.remove(refOf(spec));
      expect(await platform.find(spec.name)).toBeUndefined();
    });

    describeNetworks(made, {
      ...{ platform: () => platform, tenantId: () => under.tenantId, configured: () => under.network },
      ...{ specFor, refOf, expectFailure },
    });
  });
}
