/** TCP ports of this machine. */
import { randomInt } from 'node:crypto';
import { createServer, connect } from 'node:net';
import { StackError } from './exit-codes';

/** Below those that Linux gives to connections and to whoever asks for any port (net.ipv4.ip_local_port_range: 32768 up). */
const leastPort = 10_240;
const belowPort = 32_768;
const tries = 20;

/** A port that nobody listens on right now, and that nobody is given unasked. It is not reserved: use it at once. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tried = 0; tried < tries; tried += 1) {
    const free = await listenOnce(host, randomInt(leastPort, belowPort)).catch(() => null);
    if (free !== null) return free;
  }
  return listenOnce(host, 0);
}

/** @throws StackError `port-in-use` when somebody listens there. `variable` is what changes the port. */
export async function requireFreePort(host: string, port: number, what: string, variable: string): Promise<void> {
  await listenOnce(host, port).catch((error: NodeJS.ErrnoException) => {
    throw new StackError(
      'port-in-use',
      {
        what: `${what} cannot listen on ${host}:${port}`,
        found: error.code === 'EADDRINUSE' ? 'the port taken by another program' : (error.code ?? error.message),
        needed: 'a port of its own',
        remedy: `Stop that program (\`ss -ltnp 'sport = :${port}'\` names it) or set ${variable} to another port.`,
      },
      { cause: error },
    );
  });
}

/** True when something accepts connections there within the time given. */
export async function answers(host: string, port: number, timeoutMs = 1_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

async function listenOnce(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(bound));
    });
  });
}
