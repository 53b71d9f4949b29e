import { z } from '@hono/zod-openapi';
import { preparedStates } from '../../model/replica';
import { hardwareProfiles } from '../../model/server';
import { time } from './common';

export const prepareForSchema = z
  .array(z.enum(Object.keys(hardwareProfiles) as [string, ...string[]]))
  .max(20)
  .openapi({
    description:
      'Hardware profiles that inoculation is prepared for; without it all of the recovery site, empty for none',
  });

export const preparedSchema = z
  .array(
    z.object({
      hardwareId: z.string(),
      state: z.enum(preparedStates).openapi({ description: 'failed: not prepared, and `because` says why' }),
      at: time.nullable(),
      because: z.string().nullable().openapi({ description: 'Why it is outdated or could not be made' }),
    }),
  )
  .openapi({ description: 'Inoculation worked out ahead, by hardware profile' });
