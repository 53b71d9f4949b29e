/**
 * The form of a runbook's file, and the only place that knows it: reading, the published JSON Schema and the reference in
 * docs/runbook-reference.md all come from here. Names are checked to exist in runbook/check.ts, not here.
 */
import { z } from 'zod';
import { hardwareProfiles } from '../server';
import { roles } from '../people';
import { fourEyesActs, occasions, scriptMoments, scriptOccasions } from '../runbook/runbook';
import { cidr, date, duration, size, timezone } from './scalars';

const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a name of lower-case letters, digits and dashes, at most 63')
  .meta({ examples: ['shop'] });
/** Servers are called as the inventory calls them. */
const serverName = z
  .string()
  .min(1)
  .max(253)
  .meta({ examples: ['db01'] });
const count = z.int().min(1);
const after = z
  .array(z.string().min(1))
  .default([])
  .describe('What has to be done first: names of waves, servers or included runbooks.')
  .meta({ examples: [['data']] });

const people = z
  .strictObject({
    roles: z.array(z.enum(roles)).default([]).describe('Anybody with one of these roles.'),
    people: z.array(z.string().min(1)).default([]).describe('These people, by the name of their token.'),
  })
  .meta({ examples: [{ roles: ['coordinator'] }] });

const networkMap = z
  .record(z.string().min(1), z.string().min(1))
  .describe('Network at the source: network at the recovery site. In a rehearsal `isolated` is one made for the run.')
  .meta({ examples: [{ lan: 'dr-lan' }] });
const networks = z
  .strictObject({ recovery: networkMap.default({}), rehearsal: networkMap.default({}) })
  .describe('Which network each card is plugged into.');

const ipSettings = z.strictObject({
  ip: cidr,
  gateway: z.union([z.ipv4(), z.ipv6()]).optional(),
  dns: z.array(z.union([z.ipv4(), z.ipv6()])).default([]),
});
const readdressing = z.strictObject({
  nic: z.int().min(0).describe('The card, counted from 0.'),
  recovery: ipSettings.optional(),
  rehearsal: ipSettings.optional(),
});

const probe = z.strictObject({
  name,
  command: z.array(z.string()).min(1).describe('A program in the guest and its arguments. No shell.'),
  expectExitCode: z.int().min(0).max(255).default(0),
  expectOutput: z.string().optional().describe('Regular expression that the output must match.'),
  timeout: duration.prefault('30s'),
});

const objectives = { rpo: duration.optional(), rto: duration.optional() };

const failure = z
  .union([z.literal('critical'), z.strictObject({ giveUpAfter: duration })])
  .describe(
    'critical: when it is stuck its wave waits for a decision. giveUpAfter: stuck for longer, it is undone and failed, and the others go on.',
  )
  .meta({ examples: ['critical', { giveUpAfter: '30m' }] });

const serverKeys = {
  option: z.enum(['destructive', 'copy-and-recover', 'backup-and-recover']),
  site: z.string().min(1).describe('Recovery site; without it the one that the server is protected to.'),
  hardware: z.enum(Object.keys(hardwareProfiles) as [string, ...string[]]),
  datastore: z.string().min(1).describe('Where its disks lie; for limits.'),
  networks,
  powerOn: z.enum(['automatic', 'decision']),
  inoculate: z.boolean(),
  failure,
};

const server = z
  .strictObject({
    name: serverName,
    after,
    ...z.strictObject(serverKeys).partial().shape,
    machineName: z.string().min(1).max(63).optional(),
    cpus: count.optional(),
    memory: size.optional(),
    addresses: z.array(readdressing).default([]).describe('New addresses of its cards.'),
    verify: z.array(probe).default([]).describe('What proves its service, beside the probes that the server has.'),
    objectives: z.strictObject({ rpo: duration, rto: duration }).optional(),
  })
  .describe('One server of a wave.');

const wave = z
  .strictObject({
    name,
    title: z.string().max(200).optional(),
    after,
    gate: name.optional().describe('A gate of `gates`, before its first server.'),
    servers: z.array(server).min(1),
  })
  .describe('Servers that may start together.');

const gate = z.strictObject({
  title: z.string().min(1).max(200),
  question: z.string().min(1).max(2000),
  approvers: people,
  approvals: count.default(1),
  within: duration.optional(),
  otherwise: z.enum(['wait', 'escalate', 'abort', 'go-on']).default('wait'),
  escalateTo: people.optional(),
  in: z.array(z.enum(['recovery', 'rehearsal'])).default(['recovery', 'rehearsal']),
});

const script = z.strictObject({
  name,
  when: z.enum(scriptMoments),
  step: name.optional().describe('A step of the procedure: the script runs for each of `servers`.'),
  wave: name.optional().describe('A wave: the script runs once.'),
  servers: z.union([z.literal('all'), z.array(serverName).min(1)]).default('all'),
  in: z.array(z.enum(scriptOccasions)).min(1).default(['recovery', 'rehearsal']),
  on: z.enum(['worker', 'guest']),
  program: z.string().min(1),
  args: z.array(z.string()).default([]),
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.union([z.string(), z.strictObject({ secret: z.string() })]))
    .default({}),
  timeout: duration.prefault('5m'),
  attempts: count.max(20).default(1),
  exitCodes: z.record(z.string().regex(/^\d{1,3}$/), z.enum(['done', 'warning', 'retry', 'fail'])).default({}),
});

const notificationRule = z.strictObject({
  on: z.array(z.enum(occasions)).min(1),
  mail: z.array(z.email()).default([]),
  webhooks: z.array(name).default([]),
});

const schedule = z.strictObject({
  cron: z.string().min(1),
  timezone,
  except: z.array(date).default([]),
  catchUp: duration.prefault('10m'),
});

export const runbookSchema = z
  .strictObject({
    format: z.literal(1).describe('Of this file.'),
    name,
    title: z.string().min(1).max(200),
    summary: z.string().max(2000).default(''),
    direction: z.enum(['recovery', 'failback']).default('recovery'),
    tier: z.int().min(1).max(9).default(3),
    objectives: z
      .strictObject({
        ...objectives,
        tiers: z.record(z.string().regex(/^[1-9]$/), z.strictObject(objectives)).default({}),
      })
      .prefault({}),
    networks: networks.prefault({}),
    defaults: z
      .strictObject(serverKeys)
      .partial()
      .prefault({})
      .describe('For every server that does not say otherwise.'),
    waves: z.array(wave).default([]),
    includes: z.array(z.strictObject({ runbook: name, after })).default([]),
    limits: z
      .strictObject({
        atOnce: count.optional(),
        sites: z.record(z.string(), count).default({}),
        datastores: z.record(z.string(), count).default({}),
        boots: z.record(z.string(), count).default({}),
      })
      .prefault({}),
    gates: z.record(name, gate).default({}),
    scripts: z.array(script).default([]),
    notify: z.array(notificationRule).default([]),
    access: z
      .strictObject({
        start: people.optional(),
        decide: people.optional(),
        fourEyes: z.array(z.enum(fourEyesActs)).default([]),
      })
      .prefault({}),
    rehearsal: z
      .strictObject({
        schedule: schedule.optional(),
        tryOut: name.optional(),
        giveUpAfter: duration.prefault('4h'),
        verifiedFor: duration.prefault('90d'),
      })
      .prefault({}),
    commit: z
      .union([z.literal('decision'), z.strictObject({ act: z.enum(['commit', 'roll-back']), after: duration })])
      .default('decision'),
  })
  .meta({ title: 'Muster runbook', description: 'Which servers are recovered, in which order, with whose consent.' });

export type RunbookFile = z.output<typeof runbookSchema>;
