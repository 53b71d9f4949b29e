/** docs/api.md's tables, made from the OpenAPI document and the list of problems. Who may do what is docs/roles.md's. */
import { fillBetween, table } from '../config/documentation';
import { authorisation } from './authorisation';
import { problemKinds } from './problems';

interface Documented {
  readonly operationId?: string;
  readonly summary?: string;
  readonly responses?: Readonly<Record<string, unknown>>;
}

export type Paths = Readonly<Record<string, Readonly<Record<string, Documented>>>>;

/** One row for each operation: method and path, what it does, its answers, and its name, by which docs/roles.md says who may. */
export function routeTable(paths: Paths): string {
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId = '', summary = '', responses = {} }]) => {
      const answers = Object.keys(responses).filter((status) => status !== 'default');
      const operation = operationId in authorisation ? `\`${operationId}\`` : 'needs no token';
      return [`\`${method.toUpperCase()} ${path}\``, summary, answers.join(', '), operation];
    }),
  );
  return table(['route', 'what', 'answers', 'operation'], rows);
}

export function problemTable(): string {
  const rows = Object.entries(problemKinds).map(([kind, [status, title]]) => [
    `\`urn:muster:problem:${kind}\``,
    String(status),
    title,
  ]);
  return table(['type', 'status', 'title'], rows);
}

/** docs/api.md with its generated parts filled in. */
export function apiDocument(page: string, paths: Paths): string {
  return fillBetween(fillBetween(page, 'routes', routeTable(paths)), 'problems', problemTable());
}
