/** Sites: where servers run (sources) and where they are recovered. From the file only; without it one of each, on this machine. */
import { z } from 'zod';
import { machinesSchema } from './machines';
import { identifier } from './settings';

/** What a name in orders means on the host; the platform itself tells which of them are isolated. */
const network = z.discriminatedUnion('kind', [
  /** QEMU's own address translation: the guest reaches out, nobody reaches in. */
  z.strictObject({ kind: z.literal('user') }),
  /** A network of libvirt, by its name there. */
  z.strictObject({ kind: z.literal('network'), name: z.string().min(1) }),
  /** A cable that is plugged in nowhere. */
  z.strictObject({ kind: z.literal('unplugged') }),
]);

const sourceSite = z.discriminatedUnion('kind', [
  z.strictObject({ id: identifier, kind: z.literal('libvirt'), uri: z.string().min(1).default('qemu:///system') }),
  z.strictObject({ id: identifier, kind: z.literal('simulated'), folder: z.string().min(1).optional() }),
]);

const recoverySite = z.discriminatedUnion('kind', [
  z.strictObject({
    id: identifier,
    kind: z.literal('libvirt'),
    uri: z.string().min(1).default('qemu:///system'),
    /** Replicas and the disks of recovered machines; the hypervisor's user must be able to pass. */
    folder: z.string().min(1).optional(),
    /** Drivers that do not come with Windows, in virtio-win's layout or flat (docs/windows.md). */
    drivers: z.string().min(1).optional(),
    /** The site's networks by the name that orders use. */
    networks: z.record(z.string().min(1), network).default({}),
    /** Physical machines that servers can be recovered onto. */
    machines: machinesSchema,
  }),
  z.strictObject({
    id: identifier,
    kind: z.literal('simulated'),
    folder: z.string().min(1).optional(),
    machines: machinesSchema,
  }),
]);

export const sitesSchema = z.strictObject({
  /** Where servers are recovered. */
  sites: z.array(recoverySite).min(1),
  /** Where servers run until they are lost. Only ever asked with a deadline. */
  sources: z.array(sourceSite),
});

export type { MachineConfig } from './machines';
export type NetworkConfig = z.output<typeof network>;
export type RecoverySiteConfig = z.output<typeof recoverySite> & { readonly folder: string };
export type SourceSiteConfig = z.output<typeof sourceSite>;

/** What a site stands for when the file says nothing: both on this machine's QEMU. */
export const standardSites = {
  sites: [
    {
      id: 'recovery',
      kind: 'libvirt',
      uri: 'qemu:///system',
      networks: { user: { kind: 'user' }, isolated: { kind: 'unplugged' } },
    },
  ],
  sources: [{ id: 'production', kind: 'libvirt', uri: 'qemu:///system' }],
} as const;
