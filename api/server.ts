/** Serves the API over HTTP until it is told to stop. */
import { serve, type ServerType } from '@hono/node-server';
import { assembleApi } from './app';
import type { ApiDeps } from './deps';

export interface ServeOptions {
  readonly host: string;
  /** 0: any free port; the answer says which. */
  readonly port: number;
}

export interface ServedApi {
  readonly url: string;
  /** Stops listening, ends event streams, and waits for requests that are being answered. */
  stop(): Promise<void>;
}

/** How often servers and runbooks are read again, so that this process knows what another one added. */
const refreshEveryMs = 30_000;
/** How often Temporal is asked who works at each site, and with which runs nobody can go on. */
const watchEveryMs = 15_000;
const stopGraceMs = 3_000;

/** @throws the system's error when the port cannot be listened on (EADDRINUSE, EACCES). */
export async function serveApi(deps: ApiDeps, options: ServeOptions): Promise<ServedApi> {
  const { app, servers, runbooks, sites, failing } = assembleApi(deps);
  const server = await listen((ready) =>
    serve({ fetch: app.fetch, hostname: options.host, port: options.port }, ready),
  );
  const refresh = (): Promise<unknown> => Promise.all([servers.refresh(), runbooks.refresh()]);
  await refresh();
  const timer = setInterval(() => void refresh(), refreshEveryMs).unref();
  const look = (): void => void Promise.all([sites.look(), failing.look()]);
  look();
  const watching = setInterval(look, watchEveryMs).unref();
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    async stop() {
      clearInterval(timer);
      clearInterval(watching);
      await close(server);
    },
  };
}

function listen(start: (ready: () => void) => ServerType): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const server = start(() => resolve(server));
    server.once('error', reject);
  });
}

/** Streams never end by themselves, so after a moment their connections are cut; clients go on after their last event. */
function close(server: ServerType): Promise<void> {
  return new Promise((resolve, reject) => {
    const cut = setTimeout(() => {
      if ('closeAllConnections' in server) server.closeAllConnections();
    }, stopGraceMs);
    server.close((error) => {
      clearTimeout(cut);
      if (error) reject(error);
      else resolve();
    });
    if ('closeIdleConnections' in server) server.closeIdleConnections();
  });
}
