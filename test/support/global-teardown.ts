/** After the tests: the servers of global-setup.ts are stopped and their folder is removed. */
import { stopTestServers, type TestServers } from './global-setup';

export default async function globalTeardown(): Promise<void> {
  const servers = (globalThis as { musterTestServers?: TestServers }).musterTestServers;
  if (servers !== undefined) await stopTestServers(servers);
}
