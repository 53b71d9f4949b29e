/** What the guests' builders share: a raw disk to the image that stays. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../../tools/shared/programs.mjs';

/** Returns the image's name in the folder. */
export async function toQcow2(raw, folder, name, logPath) {
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, path.join(folder, name)], { logPath });
  rmSync(raw);
  return name;
}
