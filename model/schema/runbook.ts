/**
 * The form of a runbook's file, and the only place that knows it: reading, the published JSON Schema and the reference in
 * docs/runbook-reference.md all come from here. Names are checked to exist in runbook/check.ts, not here.
 */
import { z } from 'zod';
import { fourEyesActs } from '../runbook/runbook';
import { gate, notificationRule, schedule, script } from './runbook-rules';
import { serverKeys, wave } from './runbook-servers';
import { after, count, name, networks, objectives, people } from './runbook-words';
import { duration } from './scalars';

export const runbookSchema = z
  .strictObject({
    format: z
      .literal(1)
      .describe('Format of this file: 1.')
      .meta({ examples: [1] }),
    name: name.describe('What it is imported as, and what other runbooks include it by.'),
    title: z
      .string()
      .min(1)
      .max(200)
      .describe('For people.')
      .meta({ examples: ['Shop in three tiers'] }),
    summary: z
      .string()
      .max(2000)
      .default('')
      .describe('What it recovers, and what should be known of it.')
      .meta({ examples: ['Database, application, web. Stop the batch jobs first.'] }),
    direction: z
      .enum(['recovery', 'failback'])
      .default('recovery')
      .describe('failback: the way back, with the source stopped first.')
      .meta({ examples: ['failback'] }),
    tier: z
      .int()
      .min(1)
      .max(9)
      .default(3)
      .describe('Importance, 1 first: an evacuation runs runbooks in this order. Not the tier of a server.'),
    evacuates: z
      .string()
      .min(1)
      .optional()
      .describe('The site that it leaves with everything: what of it is not included is said when it is checked.')
      .meta({ examples: ['production'] }),
    objectives: z
      .strictObject({
        ...objectives,
        tiers: z
          .record(z.string().regex(/^[0-9]$/), z.strictObject(objectives))
          .default({})
          .describe(
            'For all servers of a tier, 0 to 9: theirs in the inventory (`servers add --tier`), not the `tier` of a runbook.',
          )
          .meta({ examples: [{ 1: { rto: '10m' } }] }),
      })
      .prefault({})
      .describe('For the whole; counted from the button to the last proven service.'),
    networks: networks.prefault({}),
    defaults: z
      .strictObject(serverKeys)
      .partial()
      .prefault({})
      .describe('For every server that does not say otherwise.'),
    waves: z.array(wave).default([]).describe('Servers, in groups that others can come after.'),
    includes: z
      .array(
        z.strictObject({
          runbook: name.describe('Its name. Its newest version when the run starts, which is pinned then.'),
          after,
        }),
      )
      .default([])
      .describe('Other runbooks as parts of this one, each a run of its own.'),
    limits: z
      .strictObject({
        atOnce: count
          .optional()
          .describe('Servers at once in all, with those of included runbooks; without it no limit.')
          .meta({ examples: [20] }),
        sites: z
          .record(z.string(), count)
          .default({})
          .describe('Servers at once, by recovery site, with those of included runbooks.')
          .meta({ examples: [{ recovery: 10 }] }),
        datastores: z
          .record(z.string(), count)
          .default({})
          .describe('Servers at once, by the `datastore` that servers name, with those of included runbooks.')
          .meta({ examples: [{ fast: 4 }] }),
        boots: z
          .record(z.string(), count)
          .default({})
          .describe(
            'Machines that boot at the same time, by recovery site: a small host boots one after the other. Of several runbooks that include each other the fewest count.',
          )
          .meta({ examples: [{ recovery: 1 }] }),
      })
      .prefault({})
      .describe(
        'How much runs at once, in this runbook and in all that it includes; limits of an included one hold beside them.',
      ),
    gates: z.record(name, gate).default({}).describe('Places where the run waits for people, by name.'),
    scripts: z.array(script).default([]).describe('Programs that run at steps or waves.'),
    notify: z
      .array(notificationRule)
      .default([])
      .describe(
        'Who is told of what. On an occasion that no rule names, those hold of the runbook that includes it, or else those of the installation.',
      ),
    access: z
      .strictObject({
        start: people.optional().describe('Who may start it; without it operators, coordinators and admins.'),
        decide: people
          .optional()
          .describe(
            'Who may decide in its runs; without it operators, coordinators and admins, whatever `start` says.',
          ),
        fourEyes: z
          .array(z.enum(fourEyesActs))
          .default([])
          .describe('Acts that need two people.')
          .meta({ examples: [['abort', 'commit']] }),
      })
      .prefault({})
      .describe('Who may do what; roles and their scopes hold, too.'),
    rehearsal: z
      .strictObject({
        schedule: schedule.optional().describe('When it is rehearsed by itself; without it when somebody starts one.'),
        tryOut: name
          .optional()
          .describe('A gate of `gates` for people to try the application before it is cleaned up; without it none.')
          .meta({ examples: ['try-the-shop'] }),
        giveUpAfter: duration
          .prefault('4h')
          .describe('A rehearsal that has waited for people for so long is undone and cleaned up, and has failed.'),
        verifiedFor: duration
          .prefault('90d')
          .describe('How long a rehearsal verifies the runbook.')
          .meta({ examples: ['90d'] }),
      })
      .prefault({})
      .describe('Rehearsals: the same in isolated networks, cleaned up afterwards.'),
    commit: z
      .union([
        z.literal('decision'),
        z.strictObject({
          act: z
            .enum(['commit', 'roll-back'])
            .describe('What happens by itself.')
            .meta({ examples: ['commit'] }),
          after: duration.describe('So long after everything is proven, unless people decide before.'),
        }),
      ])
      .prefault('decision')
      .describe('Who makes a proven recovery final: people, or the clock.')
      .meta({ examples: [{ act: 'commit', after: '4h' }] }),
  })
  .meta({ title: 'Muster runbook', description: 'Which servers are recovered, in which order, with whose consent.' });

export type RunbookFile = z.output<typeof runbookSchema>;
