/** A worker of its own that takes copies of a point until it is killed: `node --import tsx take-copy.ts FOLDER DISKS POINT`. */
import { siteIn } from './site';

async function main(folder: string, disks: Record<string, string>, pointId: string): Promise<void> {
  const site = await siteIn(folder, disks, 2);
  await site.replicas.take(site.server, pointId, 'copy-and-recover', 'run-1');
}

void main(process.argv[2]!, JSON.parse(process.argv[3]!) as Record<string, string>, process.argv[4]!);
