/** Downloads that are checked against a pinned digest, and that give up soon where nothing answers. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';

/**
 * Writes what `url` holds to `target`.
 *
 * @throws Error when no answer comes within `answerMs`, no byte for `stallMs`, the answer is not 200, or the digest differs.
 */
export async function downloadVerified({ url, sha256, target, answerMs = 10_000, stallMs = 30_000 }) {
  const stop = new AbortController();
  let patience = setTimeout(() => stop.abort(new Error(`no answer within ${answerMs / 1000} s`)), answerMs);
  const file = createWriteStream(target);
  const hash = createHash('sha256');
  try {
    const response = await fetch(url, { signal: stop.signal });
    if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
    for await (const chunk of response.body) {
      clearTimeout(patience);
      patience = setTimeout(() => stop.abort(new Error(`nothing came for ${stallMs / 1000} s`)), stallMs);
      hash.update(chunk);
      if (!file.write(chunk)) await once(file, 'drain');
    }
  } catch (error) {
    const reason = error.cause?.message ?? error.message;
    throw new Error(`${url}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(patience);
    file.end();
    await once(file, 'close');
  }
  const found = hash.digest('hex');
  if (found !== sha256) throw new Error(`${url} has SHA-256 ${found}, not the pinned ${sha256}; it is not used`);
}
