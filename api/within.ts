/** Waiting with an end: a part that hangs must not hang the API. */

export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** The promise's own end, or DeadlineError after `ms`. The work behind it is not stopped. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(`no answer within ${ms} ms`)), ms);
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
