/** GET /metrics of a worker, on an address of its own: a worker has no other door, and whoever reaches this one may read. */
import { serve, type ServerType } from '@hono/node-server';
import type { Registry } from 'prom-client';

export interface MetricsServer {
  /** host:port that it listens on. */
  readonly address: string;
  stop(): Promise<void>;
}

/** @throws the system's error when the address cannot be listened on */
export async function serveMetrics(registry: Registry, address: string): Promise<MetricsServer> {
  const { hostname, port } = new URL(`http://${address}`);
  const fetch = async (request: Request): Promise<Response> => {
    if (new URL(request.url).pathname !== '/metrics') return new Response('Only /metrics is here.\n', { status: 404 });
    return new Response(await registry.metrics(), { headers: { 'content-type': registry.contentType } });
  };
  const server = await new Promise<ServerType>((resolve, reject) => {
    // A URL drops the port of its scheme: 80 is meant where none is left.
    const options = { fetch, hostname: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) };
    const starting = serve(options, () => resolve(starting));
    starting.once('error', reject);
  });
  return {
    address,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}
