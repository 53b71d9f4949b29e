/** No request body larger than the configuration says, whatever its headers claim. */
import { bodyLimit } from 'hono/body-limit';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';

export function limitBody({ config }: ApiDeps) {
  return bodyLimit({
    maxSize: config.bodyLimitBytes,
    onError: () => {
      throw new Problem('too-large', `The request body is too large: needed at most ${config.bodyLimitBytes} bytes`);
    },
  });
}
