/**
 * A small Redfish service for tests of what a good service does not do: refuse, fail, hang, answer nonsense, show a
 * certificate of its own. The protocol itself is tested against sushy-tools' emulator.
 */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface TestRedfish {
  readonly url: string;
  /** PowerState by system id; a system that is not in it does not exist. */
  readonly states: Map<string, string>;
  /** Method and path of every request, with what a Reset asked for. */
  readonly requests: string[];
  /** Answers before the service does; undefined leaves it to the service, 'hang' never answers. */
  fault: ((request: string) => { status: number; body?: string } | 'hang' | undefined) | null;
  close(): Promise<void>;
}

export const redfishUser = { user: 'muster', password: 'S3cret-of-the-controller' };

export async function startRedfish(
  systems: readonly string[],
  tls?: { readonly key: string; readonly cert: string },
): Promise<TestRedfish> {
  const states = new Map(systems.map((id) => [id, 'Off']));
  const sockets = new Set<Socket>();
  const test: Omit<TestRedfish, 'url' | 'close'> = { states, requests: [], fault: null };
  const listener = (request: IncomingMessage, response: ServerResponse): void => void serve(test, request, response);
  const server = tls === undefined ? createHttp(listener) : createHttps(tls, listener);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(test, {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  });
}

async function serve(test: Omit<TestRedfish, 'url' | 'close'>, request: IncomingMessage, response: ServerResponse) {
  let text = '';
  for await (const piece of request) text += String(piece);
  const body = text === '' ? {} : (JSON.parse(text) as { ResetType?: string });
  const line = [request.method, request.url, body.ResetType].filter(Boolean).join(' ');
  test.requests.push(line);
  const answer = (status: number, content: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof content === 'string' ? content : JSON.stringify(content));
  };
  const fault = test.fault?.(line);
  if (fault === 'hang') return;
  if (fault !== undefined) return answer(fault.status, fault.body ?? '');
  const wanted = `Basic ${Buffer.from(`${redfishUser.user}:${redfishUser.password}`).toString('base64')}`;
  if (request.headers.authorization !== wanted) return answer(401, { error: { message: 'Wrong user or password' } });
  const root = '/redfish/v1/Systems';
  if (request.url === root)
    return answer(200, { Members: [...test.states.keys()].map((id) => ({ '@odata.id': `${root}/${id}` })) });
  const id = decodeURIComponent(request.url?.slice(root.length + 1).split('/')[0] ?? '');
  const state = test.states.get(id);
  if (state === undefined) return answer(404, { error: { message: 'no such system' } });
  const target = `${root}/${encodeURIComponent(id)}/Actions/ComputerSystem.Reset`;
  if (request.method === 'POST' && request.url === target) {
    const next = { On: 'On', ForceOff: 'Off', GracefulShutdown: state }[body.ResetType ?? ''];
    if (next === undefined) return answer(400, { error: { message: `ResetType ${body.ResetType} is not supported` } });
    test.states.set(id, next);
    return answer(204, '');
  }
  const resets = { target, 'ResetType@Redfish.AllowableValues': ['On', 'ForceOff', 'GracefulShutdown'] };
  answer(200, { Id: id, PowerState: state, Actions: { '#ComputerSystem.Reset': resets } });
}
