/** What several parts of a runbook's file are made of: names, people, networks, objectives. */
import { z } from 'zod';
import { roles } from '../people';
import { duration } from './scalars';

export const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a name of lower-case letters, digits and dashes, at most 63')
  .meta({ examples: ['shop'] });
/** Servers are called as the inventory calls them. */
export const serverName = z
  .string()
  .min(1)
  .max(253)
  .meta({ examples: ['db01'] });
export const count = z.int().min(1);
export const after = z
  .array(z.string().min(1))
  .default([])
  .describe('What has to be done first: names of waves, servers or included runbooks.')
  .meta({ examples: [['data']] });

export const people = z
  .strictObject({
    roles: z
      .array(z.enum(roles))
      .default([])
      .describe('Anybody with one of these roles; viewers and auditors may not act.')
      .meta({ examples: [['coordinator']] }),
    people: z
      .array(z.string().min(1))
      .default([])
      .describe('These people, by the name of their token.')
      .meta({ examples: [['Tomáš Lindqvist']] }),
  })
  .meta({ examples: [{ roles: ['coordinator'] }] });

export const networkMap = z
  .record(z.string().min(1), z.string().min(1))
  .describe('Network at the source: network at the recovery site. In a rehearsal `isolated` is one made for the run.')
  .meta({ examples: [{ lan: 'dr-lan' }] });
export const networks = z
  .strictObject({
    recovery: networkMap.default({}).describe('In a recovery: network at the source: network at the recovery site.'),
    rehearsal: networkMap
      .default({})
      .describe('The same in a rehearsal; what is not named is `isolated`, a network made for the run.')
      .meta({ examples: [{ lan: 'isolated' }] }),
  })
  .describe('Which network each card is plugged into.');

export const objectives = {
  rpo: duration.optional().describe('How much may be lost, as time; without it none is stated.'),
  rto: duration.optional().describe('From the button to the proven service; without it none is stated.'),
};
