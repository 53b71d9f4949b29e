import { z } from '@hono/zod-openapi';

export const partSchema = z.object({
  name: z.string().openapi({ example: 'worker site:local' }),
  ok: z.boolean(),
  detail: z.string(),
});

export const healthSchema = z
  .object({
    ok: z.boolean(),
    version: z.string(),
    /** The API's own clock: `muster doctor` compares it. */
    time: z.iso.datetime(),
    parts: z.array(partSchema),
  })
  .openapi('Health');
export type HealthDocument = z.infer<typeof healthSchema>;
