/** The Platform of a libvirt host with QEMU, over virsh. What each method promises is written in ../contract.ts. */
import { join } from 'node:path';
import { virtualProfiles, type SiteId } from '../../model/server';
import type { Platform } from '../contract';
import { findAcceleration } from './acceleration';
import { runInGuest } from './agent';
import { attachDisk, detachDisk, registerDisk, unregisterDisk } from './disks';
import type { LibvirtNetwork } from './domain-xml';
import { health } from './health';
import type { Host } from './host';
import { inventory } from './inventory';
import { look } from './look';
import { create, find, list, remove } from './machines';
import { mergeDisk } from './merge';
import { createNetwork, networks, removeNetwork } from './networks';
import { power } from './power';
import { virshOn } from './virsh';

export interface LibvirtOptions {
  readonly id: SiteId;
  /** `qemu:///system`. */
  readonly uri: string;
  /** For console logs and the cached answer about acceleration; on the host where libvirt's daemon runs. */
  readonly consoleFolder: string;
  /** Name in Muster -> what it is on this host. */
  readonly networks: Readonly<Record<string, LibvirtNetwork>>;
  /** Default: found out by booting a trivial guest. */
  readonly acceleration?: 'kvm' | 'tcg';
}

export function createLibvirtPlatform(options: LibvirtOptions): Platform {
  const cacheFile = join(options.consoleFolder, 'acceleration.json');
  const known = options.acceleration;
  const host: Host = {
    id: options.id,
    virsh: virshOn(options.uri),
    consoleFolder: options.consoleFolder,
    networks: options.networks,
    acceleration: known ? async () => known : async () => (await findAcceleration(cacheFile)).kind,
  };
  return {
    id: options.id,
    kind: 'libvirt',
    capabilities: {
      guestAgent: true,
      screenshot: true,
      consoleText: true,
      liveMerge: true,
      isolatedNetworks: true,
      firmwares: ['bios', 'uefi'],
      hardware: virtualProfiles,
    },
    health: (callOptions) => health(host, callOptions),
    list: (callOptions) => list(host, callOptions),
    find: (name, callOptions) => find(host, name, callOptions),
    create: (spec, callOptions) => create(host, spec, callOptions),
    remove: (ref, callOptions) => remove(host, ref, callOptions),
    attachDisk: (ref, disk, callOptions) => attachDisk(host, ref, disk, callOptions),
    detachDisk: (ref, disk, callOptions) => detachDisk(host, ref, disk, callOptions),
    registerDisk: (ref, disk, callOptions) => registerDisk(host, ref, disk, callOptions),
    unregisterDisk: (ref, disk, callOptions) => unregisterDisk(host, ref, disk, callOptions),
    power: (ref, action, callOptions) => power(host, ref, action, callOptions),
    runInGuest: (name, command, callOptions) => runInGuest(host, name, command, callOptions),
    look: (name, callOptions) => look(host, name, callOptions),
    mergeDisk: (ref, disk, basePath, callOptions) => mergeDisk(host, ref, disk, basePath, callOptions),
    networks: (callOptions) => networks(host, callOptions),
    createNetwork: (ref, callOptions) => createNetwork(host, ref, callOptions),
    removeNetwork: (ref, callOptions) => removeNetwork(host, ref, callOptions),
    inventory: (callOptions) => inventory(host, callOptions),
  };
}
