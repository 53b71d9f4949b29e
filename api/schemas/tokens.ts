import { z } from '@hono/zod-openapi';
import { scopeKinds } from '../../model/people';
import { roles } from '../../store/contract';
import { line, time } from './common';

const scope = z
  .strictObject({
    kind: z.enum(scopeKinds),
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'needs the name of a site or of a runbook'),
  })
  .openapi('AccessScope');

export const personSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(roles),
    scopes: z.array(scope).optional().openapi({ description: 'Where the role holds; absent: everywhere' }),
  })
  .openapi('Person');

export const newTokenSchema = z
  .strictObject({
    name: line(100)
      .regex(/\S/, 'is missing')
      .overwrite((text) => text.trim())
      .openapi({ description: 'The person, as the record will name them' }),
    role: z.enum(roles),
    scopes: z.array(scope).max(100).default([]).openapi({ description: 'Where the role holds; none: everywhere' }),
    expiresAt: time.nullable().default(null),
  })
  .openapi('NewToken');

export const issuedTokenSchema = z
  .object({
    person: personSchema,
    tokenId: z.string(),
    token: z.string().openapi({ description: 'Shown this once; Muster keeps only its SHA-256' }),
  })
  .openapi('IssuedToken');
export type IssuedToken = z.infer<typeof issuedTokenSchema>;

export const tokenSchema = z
  .object({
    tokenId: z.string(),
    person: personSchema,
    createdAt: time,
    expiresAt: time.nullable(),
    revokedAt: time.nullable(),
  })
  .openapi('Token');
export const tokensSchema = z.object({ items: z.array(tokenSchema) }).openapi('Tokens');
export type TokensDocument = z.infer<typeof tokensSchema>;
