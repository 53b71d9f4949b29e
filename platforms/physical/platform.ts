/**
 * The Platform of a site's physical machines. What each method promises is written in ../contract.ts; what differs from a
 * hypervisor is declared: the machines are given, and there is no agent, no screen and no merge.
 */
import { PermanentError } from '../../model/errors';
import type { CallOptions, NetworkRef, Platform } from '../contract';
import { attachDisk, detachDisk, examine, registerDisk } from './attach';
import type { PhysicalOptions } from './machine';
import { create, find, health, list, remove } from './machines';
import { power } from './power';
import { holdings, release } from './release';
import { openPhysicalSite, requireMachine, type PhysicalSite } from './site';

export function createPhysicalPlatform(options: PhysicalOptions): Platform {
  const site = openPhysicalSite(options);
  return {
    id: options.id,
    kind: 'physical',
    capabilities: {
      guestAgent: false,
      screenshot: false,
      consoleText: options.machines.some(({ serialConsole }) => serialConsole !== null),
      liveMerge: false,
      isolatedNetworks: false,
      firmwares: [...new Set(options.machines.map(({ firmware }) => firmware))],
      hardware: [...new Set(options.machines.map(({ hardware }) => hardware))],
    },
    given: {
      examine: (ref, disks, callOptions) => examine(site, ref, disks, callOptions),
      holdings: (callOptions) => holdings(site, callOptions),
      release: (ref, word, callOptions) => release(site, ref, word, callOptions),
    },
    health: (callOptions) => health(site, callOptions),
    list: (callOptions) => list(site, callOptions),
    find: (name, callOptions) => find(site, name, callOptions),
    create: (spec, callOptions) => create(site, spec, callOptions),
    remove: (ref, callOptions) => remove(site, ref, callOptions),
    attachDisk: (ref, disk, callOptions) => attachDisk(site, ref, disk, callOptions),
    detachDisk: (ref, disk, callOptions) => detachDisk(site, ref, disk, callOptions),
    registerDisk: (ref, disk, callOptions) => registerDisk(site, ref, disk, callOptions),
    // There is no inventory beside the machine: nothing was made known, so nothing is to be forgotten.
    unregisterDisk: async (_ref, _disk, callOptions = {}) => callOptions.signal?.throwIfAborted(),
    power: (ref, action, callOptions) => power(site, ref, action, callOptions),
    runInGuest: (name, _command, callOptions) => cannot(site, name, 'runs no programs in its guest', callOptions),
    look: (name, callOptions) => look(site, name, callOptions),
    mergeDisk: (ref, _disk, _base, callOptions) => cannot(site, ref.name, 'merges no disks', callOptions),
    // Cables are laid by people: none was made, so there is none to list or to remove.
    networks: async (callOptions = {}) => (callOptions.signal?.throwIfAborted(), []),
    createNetwork: (ref, callOptions) => noNetwork(ref, callOptions),
    removeNetwork: async (_ref, callOptions = {}) => callOptions.signal?.throwIfAborted(),
    inventory: async (callOptions) =>
      (await list(site, callOptions)).map(({ name, power: state, owner }) => ({
        ...{ kind: 'machine', name, runId: owner?.runId ?? null },
        state: owner === null ? `free, ${state}` : `claimed, ${state}`,
      })),
  };
}

/** What the serial console said since power-on; there is no screen to be had. */
async function look(site: PhysicalSite, name: string, options: CallOptions = {}) {
  options.signal?.throwIfAborted();
  const machine = requireMachine(site, name);
  const claim = await site.claims.read(name);
  if (claim === undefined || claim.poweredOnAt === null) return { png: null, consoleText: null };
  await site.consoles.listen(machine);
  return { png: null, consoleText: await site.consoles.text(machine, claim.consoleOffset) };
}

/** Declared by the capabilities; asked all the same, it is refused for good. */
async function cannot(site: PhysicalSite, name: string, what: string, options: CallOptions = {}): Promise<never> {
  options.signal?.throwIfAborted();
  requireMachine(site, name);
  throw new PermanentError({ what: `${name} is a physical machine, and its platform ${what}`, needed: 'a hypervisor' });
}

async function noNetwork({ name }: NetworkRef, options: CallOptions = {}): Promise<never> {
  options.signal?.throwIfAborted();
  throw new PermanentError({
    what: `network ${name} cannot be made for physical machines`,
    found: 'cables, which Muster does not lay',
    needed: 'a network that the site’s configuration declares as isolated',
    remedy:
      'Plug the machine into such a network and declare it, then rehearse with that network; or rehearse virtually.',
  });
}
