/** Gates, scripts, notifications and schedules, as a runbook's file has them. */
import { z } from 'zod';
import { occasions, scriptMoments, scriptOccasions } from '../runbook/runbook';
import { count, name, people, serverName } from './runbook-words';
import { cron, date, duration, timezone } from './scalars';

export const gate = z.strictObject({
  title: z
    .string()
    .min(1)
    .max(200)
    .describe('In lists and mails.')
    .meta({ examples: ['The data are good'] }),
  question: z
    .string()
    .min(1)
    .max(2000)
    .describe('What people answer by approving.')
    .meta({ examples: ['Does the database answer with the orders of today?'] }),
  approvers: people.describe('Who may approve. Whoever started the run never counts.'),
  approvals: count.default(1).describe('How many different people have to approve.'),
  within: duration.optional().describe('How long it waits; without it until somebody decides.'),
  otherwise: z
    .enum(['wait', 'escalate', 'abort', 'go-on'])
    .default('wait')
    .describe('What becomes of it when `within` is over.'),
  escalateTo: people.optional().describe('Who may approve, too, once it has escalated.'),
  in: z
    .array(z.enum(['recovery', 'rehearsal']))
    .default(['recovery', 'rehearsal'])
    .describe('In which mode it is there.'),
});

export const script = z.strictObject({
  name: name.describe('What the record calls it; each once in the file.').meta({ examples: ['warm-cache'] }),
  when: z
    .enum(scriptMoments)
    .describe('Before, after, or in place of the step or wave.')
    .meta({ examples: ['after'] }),
  step: name
    .optional()
    .describe('A step of the procedure: the script runs for each of `servers`. Either this or `wave`.')
    .meta({ examples: ['prove-boot'] }),
  wave: name
    .optional()
    .describe('A wave: the script runs once.')
    .meta({ examples: ['web'] }),
  servers: z
    .union([z.literal('all'), z.array(serverName).min(1)])
    .default('all')
    .describe('At whose step it runs.'),
  in: z
    .array(z.enum(scriptOccasions))
    .min(1)
    .default(['recovery', 'rehearsal'])
    .describe('On which occasions it runs.'),
  on: z
    .enum(['worker', 'guest'])
    .describe('worker: on the host of a worker. guest: inside the recovered machine, through its agent.')
    .meta({ examples: ['worker'] }),
  program: z
    .string()
    .min(1)
    .describe(
      'On a worker: a name in the folder that the administrator allows. In a guest: a whole path. Never a shell.',
    )
    .meta({ examples: ['tell-dns'] }),
  args: z
    .array(z.string())
    .default([])
    .describe('Its arguments, each as it is.')
    .meta({ examples: [['--check', 'orders']] }),
  environment: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
      z.union([
        z.string(),
        z.strictObject({
          secret: z
            .string()
            .describe('Where it is, never the secret: `file:NAME` or `environment:MUSTER_SECRET_NAME`.')
            .meta({ examples: ['file:dns-key'] }),
        }),
      ]),
    )
    .default({})
    .describe('Its variables: values, or where secrets are.')
    .meta({ examples: [{ ZONE: 'example.org', KEY: { secret: 'file:dns-key' } }] }),
  timeout: duration.prefault('5m').describe('Longest time for one try.'),
  attempts: count.max(20).default(1).describe('How often it is tried before it is stuck.'),
  exitCodes: z
    .record(z.string().regex(/^\d{1,3}$/), z.enum(['done', 'warning', 'retry', 'fail']))
    .default({})
    .describe('What its exit codes mean; of those not named 0 is done and all others fail.')
    .meta({ examples: [{ 3: 'warning', 75: 'retry' }] }),
});

export const notificationRule = z.strictObject({
  on: z
    .array(z.enum(occasions))
    .min(1)
    .describe('On which occasions.')
    .meta({ examples: [['stuck', 'gate']] }),
  mail: z
    .array(z.email())
    .default([])
    .describe('Mail addresses.')
    .meta({ examples: [['oncall@example.org']] }),
  webhooks: z
    .array(name)
    .default([])
    .describe('Webhooks of the configuration, by name.')
    .meta({ examples: [['pager']] }),
});

export const schedule = z.strictObject({
  cron: cron.describe('Minute, hour, day of month, month, day of week, as crontab(5) has them.'),
  timezone: timezone.describe('Whose clock it is, by its IANA name.'),
  except: z
    .array(date)
    .default([])
    .describe('Days without a rehearsal, in that time zone.')
    .meta({ examples: [['2026-12-26']] }),
  catchUp: duration.prefault('10m').describe('How late one that was missed may still start.'),
});
