/** The OpenAPI document, made from the routes themselves. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps';
import { apiPrefix } from './register';

export function documentRoute(app: OpenAPIHono<ApiEnv>, { config }: Pick<ApiDeps, 'config'>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: 'A token of a named person (`muster token issue`)',
  });
  app.get(`${apiPrefix}/openapi.json`, (c) => c.json(openApiDocument(app, config.version)));
}

export function openApiDocument(app: OpenAPIHono<ApiEnv>, version: string) {
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Muster',
      version,
      description: 'Recovers servers by runbook. Errors are application/problem+json (RFC 9457).',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
  });
}
