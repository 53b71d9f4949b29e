/** Physical machines of a recovery site, as the configuration file lists them. */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import type { PhysicalMachineFacts } from '../model/orders/build-order';
import { firmwares, hardwareProfiles } from '../model/server';
import { secretRefPattern } from '../model/secrets';

const physicalProfiles = Object.values(hardwareProfiles)
  .filter(({ kind }) => kind === 'physical')
  .map(({ id }) => id) as [string, ...string[]];

const absolutePath = z.string().refine(isAbsolute, 'needs a whole path, from / on');

const nic = z.strictObject({
  /** The card's own address; inoculation gives the old network name to the card with it. */
  macAddress: z
    .string()
    .regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, 'needs six pairs of hexadecimal digits with colons')
    .transform((text) => text.toLowerCase()),
  /** What it is plugged into, by the name that orders use. */
  network: z.string().min(1),
  /** Nobody can be asked whether a cable leads out: a rehearsal uses only what is declared here as leading nowhere. */
  isolated: z.boolean().default(false),
});

const disk = z.strictObject({
  /** A block device (best by /dev/disk/by-id) or a raw image file. */
  device: absolutePath,
  /** What the device must say of itself; for an image file, the text of a file beside it named `<image>.serial`. */
  serial: z.string().min(1).optional(),
});

const power = z.union([
  z.strictObject({
    redfish: z.strictObject({
      /** `https://bmc.example`, without a path. */
      url: z.string().regex(/^https?:\/\/[^/\s@]+\/?$/, 'needs http(s)://host[:port] without path, user and password'),
      /** Name of the system below /redfish/v1/Systems. */
      systemId: z.string().regex(/^[A-Za-z0-9._~-]{1,200}$/, 'needs the id of a system below /redfish/v1/Systems'),
      user: z.string().min(1),
      /** Reference to the password: `file:NAME` or `environment:NAME`. */
      password: z.string().regex(secretRefPattern, 'needs file:NAME or environment:NAME, never the password itself'),
      /** Certificate of the authority that signed the controller's certificate, as PEM. */
      caFile: absolutePath.optional(),
      /** true: any certificate is taken. Whoever stands in between then learns the password. */
      insecure: z.boolean().default(false),
    }),
  }),
  /** What a person has to do to switch the machine on or off. */
  z.strictObject({ person: z.string().min(1).max(2000) }),
]);

const serialConsole = z.union([
  z.strictObject({ file: absolutePath }),
  z.strictObject({ socket: absolutePath }),
  z.strictObject({ host: z.string().min(1), port: z.int().min(1).max(65535) }),
]);

export const machineSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'needs 1 to 63 of A-Z a-z 0-9 . _ - and starts with a letter or digit'),
  hardware: z.enum(physicalProfiles),
  firmware: z.enum(firmwares),
  cpuCount: z.int().min(1),
  memoryBytes: z.int().min(64 * 1024 * 1024),
  nics: z.array(nic).default([]),
  /** In the order in which the machine itself finds them; the first is the one it boots from. */
  disks: z.array(disk).min(1),
  power,
  serialConsole: serialConsole.optional(),
});
export type MachineConfig = z.output<typeof machineSchema>;

/** What plans and previews know of a machine: who switches it, beside what it is. */
export const factsOf = ({ power, ...machine }: MachineConfig): PhysicalMachineFacts => ({
  ...machine,
  ...('person' in power ? { powerByPerson: power.person } : {}),
});

/** Machines of one site, whose names and devices must be nobody else's. */
export const machinesSchema = z
  .array(machineSchema)
  .default([])
  .superRefine((machines, context) => {
    const twice = (values: readonly string[]): string[] => values.filter((one, at) => values.indexOf(one) !== at);
    for (const name of twice(machines.map((machine) => machine.name))) {
      context.addIssue({ code: 'custom', message: `needs names that differ; "${name}" stands there twice` });
    }
    for (const device of twice(machines.flatMap(({ disks }) => disks.map((one) => one.device)))) {
      context.addIssue({ code: 'custom', message: `needs devices that differ; "${device}" stands there twice` });
    }
  });
