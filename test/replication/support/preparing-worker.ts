/**
 * A worker whose recovery site is real where inoculations are worked out ahead: replicas, preparations and disk toolkit.
 * Its source is files; machines are simulated. A program of its own that a test can kill:
 * `node -r tsx/cjs preparing-worker.ts`, with the settings of a world in WORLD and the source's disks in DISKS.
 */
import { join } from 'node:path';
import { createDiskEditor } from '../../../disks/editor';
import { createPreparations } from '../../../replication/preparations';
import { runWorkers, type WorkerSettings } from '../../support/world-worker';
import { siteIn } from './site';

export const realFolder = (worldFolder: string): string => join(worldFolder, 'real');

/** As siteIn lays them out. */
export const preparationsIn = (folder: string) =>
  createPreparations({ folder: join(folder, 'replicas'), runtimeFolder: join(folder, 'run'), clock: Date.now });

async function runAsProgram(): Promise<void> {
  const settings = JSON.parse(process.env['WORLD']!) as WorkerSettings;
  const folder = realFolder(settings.folder);
  const { replicas } = await siteIn(folder, JSON.parse(process.env['DISKS']!) as Record<string, string>);
  const disks = createDiskEditor({ scratchFolder: join(folder, 'scratch') });
  const preparations = preparationsIn(folder);
  await runWorkers(settings, ({ platform }) => ({ platform, replicas, disks, preparations }));
  process.stdout.write('polling\n');
}

if (require.main === module) void runAsProgram();
