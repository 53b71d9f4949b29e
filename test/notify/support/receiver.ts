/** A real HTTP receiver of webhooks on 127.0.0.1, which verifies as docs/notifications.md shows. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface Call {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** What the independent library says of the signature. */
  readonly verified: boolean;
}

export interface TestReceiver {
  readonly url: string;
  readonly calls: Call[];
  /** Status and headers of the answers from now on; null: none is given. */
  answer: { readonly status: number; readonly headers?: Record<string, string> } | null;
  stop(): Promise<void>;
}

export async function startReceiver(secret: string): Promise<TestReceiver> {
  const calls: Call[] = [];
  const receiver: Pick<TestReceiver, 'answer'> = { answer: { status: 204 } };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      calls.push({ headers: request.headers, text, verified: verifies(secret, text, request.headers) });
      if (receiver.answer !== null) response.writeHead(receiver.answer.status, receiver.answer.headers).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(receiver, {
    calls,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

function verifies(secret: string, text: string, headers: IncomingHttpHeaders): boolean {
  try {
    new Webhook(secret).verify(text, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
