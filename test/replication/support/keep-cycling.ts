/** A process of its own that writes into the source and runs cycles until it is killed. */
import { siteIn } from './site';
import { write } from './tools';

async function main(folder: string, disks: Record<string, string>): Promise<void> {
  const site = await siteIn(folder, disks, 3);
  await site.replicas.prepare(site.server);
  for (let round = 1; ; round++) {
    const live = await site.source.live('sda');
    await write(live, round % 256, `${1 + (round % 60)}M`, '64k');
    await site.replicas.cycle(site.server);
  }
}

void main(process.argv[2]!, JSON.parse(process.argv[3]!) as Record<string, string>);
