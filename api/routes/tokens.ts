/** Tokens belong to named people with a role, so that the record says who decided. */
import { z } from '@hono/zod-openapi';
import type { ApiDeps } from '../deps';
import type { Verifier } from '../middleware/authenticate';
import { notFound, Problem } from '../problems';
import { body, json, plain, type Register } from '../register';
import {
  issuedTokenSchema,
  newTokenSchema,
  personSchema,
  tokensSchema,
  type IssuedToken,
  type TokensDocument,
} from '../schemas/tokens';
import { within } from '../within';

export function tokenRoutes(register: Register, { store, config, clock }: ApiDeps, verifier: Verifier): void {
  register(
    'whoAmI',
    {
      method: 'get',
      path: '/me',
      summary: 'Whose token this is',
      responses: { 200: json(personSchema, 'The person') },
    },
    (c) => c.json(plain<z.infer<typeof personSchema>>(c.get('person')), 200),
  );

  register(
    'issueToken',
    {
      method: 'post',
      path: '/tokens',
      summary: 'Issue a token to a person',
      request: { body: body(newTokenSchema) },
      responses: { 201: json(issuedTokenSchema, 'The token, shown this once') },
    },
    async (c) => {
      const { name, role, scopes, expiresAt } = c.req.valid('json');
      if (expiresAt !== null && Date.parse(expiresAt) <= clock().getTime()) {
        throw new Problem('validation', `body.expiresAt is in the past: found ${expiresAt}`, {
          issues: [{ at: 'body.expiresAt', message: 'is in the past' }],
        });
      }
      const issued = await within(config.storeDeadlineMs, store.tokens.issue({ name, role, scopes }, expiresAt));
      return c.json(plain<IssuedToken>(issued), 201);
    },
  );

  register(
    'listTokens',
    {
      method: 'get',
      path: '/tokens',
      summary: 'All tokens, without their text',
      responses: { 200: json(tokensSchema, 'Tokens') },
    },
    async (c) => {
      const items = await within(config.storeDeadlineMs, store.tokens.list());
      return c.json(plain<TokensDocument>({ items }), 200);
    },
  );

  register(
    'revokeToken',
    {
      method: 'delete',
      path: '/tokens/{tokenId}',
      summary: 'Revoke a token',
      description: `Another API process may take it for up to ${config.tokenFreshMs / 1000} s more.`,
      request: {
        params: z.object({ tokenId: z.string().regex(/^[A-Za-z0-9._-]{1,100}$/, 'needs the id of a token') }),
      },
      responses: { 204: { description: 'Revoked' } },
    },
    async (c) => {
      const { tokenId } = c.req.valid('param');
      const known = await within(config.storeDeadlineMs, store.tokens.list());
      if (!known.some((token) => token.tokenId === tokenId)) throw notFound('token', tokenId);
      await within(config.storeDeadlineMs, store.tokens.revoke(tokenId));
      verifier.forget(tokenId);
      return c.body(null, 204);
    },
  );
}
