/** Waves and their servers, as a runbook's file has them. */
import { z } from 'zod';
import { hardwareProfiles } from '../server';
import { after, count, name, networks, serverName } from './runbook-words';
import { cidr, duration, size } from './scalars';

const address = z.union([z.ipv4(), z.ipv6()]);
const ipSettings = z.strictObject({
  ip: cidr.describe('Address with prefix length.'),
  gateway: address
    .optional()
    .describe('Default gateway; without it none.')
    .meta({ examples: ['10.8.0.1'] }),
  dns: z
    .array(address)
    .default([])
    .describe('Name servers; without them those that it has.')
    .meta({ examples: [['10.8.0.2']] }),
});
const readdressing = z.strictObject({
  nic: z
    .int()
    .min(0)
    .describe('The card, counted from 0.')
    .meta({ examples: [0] }),
  recovery: ipSettings.optional().describe('In a recovery; without it as it was.'),
  rehearsal: ipSettings.optional().describe('In a rehearsal; without it as it was.'),
});

const probe = z.strictObject({
  name: name.describe('What the report calls it.').meta({ examples: ['answers'] }),
  command: z
    .array(z.string())
    .min(1)
    .describe('A program in the guest and its arguments. No shell.')
    .meta({ examples: [['/usr/bin/pg_isready', '-q']] }),
  expectExitCode: z.int().min(0).max(255).default(0).describe('What it has to end with.'),
  expectOutput: z
    .string()
    .optional()
    .describe('Regular expression that the output must match.')
    .meta({ examples: ['^accepting'] }),
  timeout: duration.prefault('30s').describe('Longest time for one try.'),
});

const failure = z
  .union([
    z.literal('critical'),
    z.strictObject({ giveUpAfter: duration.describe('Stuck for longer than this, it is undone and has failed.') }),
  ])
  .describe(
    'critical: when it is stuck its wave waits for a decision. giveUpAfter: stuck for longer, it is undone and failed, and the others go on.',
  )
  .meta({ examples: ['critical', { giveUpAfter: '30m' }] });

const proof = z
  .strictObject({
    within: duration
      .optional()
      .describe('Longest time from power-on until its system is heard of; without it 5 minutes.')
      .meta({ examples: ['20m'] }),
    stableFor: duration
      .optional()
      .describe('How long it must then stay up without a reboot; without it 30 seconds.')
      .meta({ examples: ['2m'] }),
  })
  .describe('What counts as a boot, for a server that takes longer than others.');

export const serverKeys = {
  option: z
    .enum(['destructive', 'copy-and-recover', 'backup-and-recover'])
    .describe('What becomes of the replica (docs/choosing-an-option.md); without it `backup-and-recover`.')
    .meta({ examples: ['backup-and-recover'] }),
  site: z
    .string()
    .min(1)
    .describe('Recovery site; without it the one that the server is protected to.')
    .meta({ examples: ['recovery'] }),
  hardware: z
    .enum(Object.keys(hardwareProfiles) as [string, ...string[]])
    .describe('The hardware profile that it is recovered onto; needed here or in `defaults`.')
    .meta({ examples: ['kvm-virtio'] }),
  datastore: z
    .string()
    .min(1)
    .describe('Where its disks lie; for limits.')
    .meta({ examples: ['fast'] }),
  networks: networks.describe('In place of those of the runbook, network by network.'),
  powerOn: z
    .enum(['automatic', 'decision'])
    .describe('decision: a person is asked before it is powered on; without it `automatic`.')
    .meta({ examples: ['decision'] }),
  inoculate: z
    .boolean()
    .describe('Whether its system is given the drivers of the hardware; without it true.')
    .meta({ examples: [false] }),
  proof,
  failure,
};

const server = z
  .strictObject({
    name: serverName.describe('As the inventory calls it (`muster servers`).'),
    after: after.describe(
      'What has to be done before it, beside what its wave comes after: waves, servers, included runbooks.',
    ),
    ...z.strictObject(serverKeys).partial().shape,
    machineName: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe(
        'What its machine is called at the recovery site, without it NAME-recovered; of a physical machine its name in the configuration. Rehearsals have names of their own.',
      )
      .meta({ examples: ['db01-dr'] }),
    cpus: count
      .optional()
      .describe('Without it as many as the server has.')
      .meta({ examples: [4] }),
    memory: size.optional().describe('Without it as much as the server has.'),
    addresses: z.array(readdressing).default([]).describe('New addresses of its cards.'),
    verify: z.array(probe).default([]).describe('What proves its service, beside the probes that the server has.'),
    objectives: z
      .strictObject({
        rpo: duration.describe('How much of it may be lost, as time.'),
        rto: duration.describe('From the button to its proven service.'),
      })
      .optional()
      .describe('Its own; without them those of the inventory.'),
  })
  .describe('One server of a wave.');

export const wave = z
  .strictObject({
    name: name.describe('What others come after; each name once in the file.').meta({ examples: ['data'] }),
    title: z
      .string()
      .max(200)
      .optional()
      .describe('For people; without it the name.')
      .meta({ examples: ['Databases'] }),
    after,
    gate: name
      .optional()
      .describe('A gate of `gates`, before its first server; without it none.')
      .meta({ examples: ['data-is-good'] }),
    servers: z.array(server).min(1).describe('Its servers; without an order of their own they start together.'),
  })
  .describe('Servers that may start together.');
