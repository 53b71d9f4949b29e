/** Takes points of a server at a simulated site, in a process of its own: `[folder, server, how many]` as JSON in TAKE_POINTS. */
import { join } from 'node:path';
import type { ServerSpec } from '../../model/server';
import { openSimulatedSite } from '../../platforms/simulated/open';

/** Production and recovery below one folder. */
export function sitesIn(folder: string) {
  const production = openSimulatedSite({ folder: join(folder, 'production'), id: 'production' });
  const sources = { production: production.source };
  return { production, recovery: openSimulatedSite({ folder: join(folder, 'recovery'), id: 'recovery', sources }) };
}

async function takeThem(): Promise<void> {
  const [folder, server, count] = JSON.parse(process.env['TAKE_POINTS']!) as [string, ServerSpec, number];
  const { recovery } = sitesIn(folder);
  for (let taken = 0; taken < count; taken++) await recovery.replicas.cycle(server);
}

if (require.main === module) void takeThem();
