/**
 * One holder at a time, across processes, for things that live in files.
 *
 * A lock is an abstract UNIX socket that its holder listens on. The kernel frees it when the holder dies, by SIGKILL too,
 * so that there is no stale lock file to judge and no race in judging it. It holds within one Linux network namespace:
 * processes in several containers that share a folder also have to share the network (or run in one container).
 */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { TransientError } from '../model/errors';
import { lookAgain } from '../programs/look-again';
import { takeTurn } from '../programs/turns';

/**
 * Runs `work` while holding the lock `name`, and returns what it returned.
 *
 * @throws the signal's reason when it fires before the lock is held; afterwards `work` decides.
 */
export async function withFileLock<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  // The kernel would not be fair to those of this process, and looking costs time.
  const endTurn = await takeTurn(name, { signal });
  try {
    return await holdWhile(name, work, signal);
  } finally {
    endTurn?.();
  }
}

async function holdWhile<T>(name: string, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const server = await acquire(name, signal);
  try {
    return await work();
  } finally {
    await new Promise((done) => server.close(done));
  }
}

async function acquire(name: string, signal: AbortSignal | undefined): Promise<Server> {
  const address = `\0muster-${createHash('sha256').update(name).digest('hex')}`;
  // Without a time to end it, it is only left with the server.
  return (await lookAgain(() => listen(address, name), { signal }))!;
}

function listen(address: string, name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(new TransientError({ what: `the lock ${name} cannot be taken`, found: error.message }));
    });
    server.listen(address, () => resolve(server));
  });
}
