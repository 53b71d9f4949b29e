/** No request body larger than the configuration says, whatever its headers claim; runbooks may be longer than all else. */
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { longestText } from '../../model/schema/read-runbook';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import { apiPrefix } from '../register';

/** Routes that take a runbook's text. */
const withText = ['/runbooks', '/runbooks/check', '/runbooks/plan'].map((path) => apiPrefix + path);
const runsOfRunbook = new RegExp(`^${apiPrefix}/runbooks/[^/]+/runs$`);
/** JSON writes line ends and quotes with two characters: so much that a text a little too long is still told so itself. */
const textBytes = 2 * longestText;

export function limitBody({ config }: ApiDeps): MiddlewareHandler {
  const limit = (maxSize: number, what: string) =>
    bodyLimit({
      maxSize,
      onError: () => {
        throw new Problem('too-large', `The request body is too large: needed at most ${maxSize} bytes${what}`);
      },
    });
  const usual = limit(config.bodyLimitBytes, '');
  const runbook = limit(
    textBytes,
    `; a runbook has at most ${longestText} characters. Divide it: a runbook may include others`,
  );
  return (c, next) =>
    withText.includes(c.req.path) || runsOfRunbook.test(c.req.path) ? runbook(c, next) : usual(c, next);
}
