/** Lists what a simulated site has, many callers at once; prints how many machines and replicas each saw. */
import { openSimulatedSite } from '../../../platforms/simulated/open';

async function list(folder: string): Promise<void> {
  const { platform, replicas } = openSimulatedSite({ folder, id: 'dr' });
  const counts = await Promise.all(
    Array.from({ length: 8 }, async () => [(await platform.list()).length, (await replicas.views()).length]),
  );
  process.stdout.write(JSON.stringify(counts));
}

void list(process.argv[2]!);
