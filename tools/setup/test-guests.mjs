/** The guests of test/disks/zoo are in the cache; they are built once, which takes two to three minutes. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot } from '../shared/cache.mjs';
import { CannotProvide } from './step.mjs';

const builder = fileURLToPath(new URL('../../test/disks/zoo/build.mjs', import.meta.url));
/** Only when it is asked for: an installation has no tests. */
const guests = () => import('../../test/disks/zoo/build.mjs');

export const testGuestsStep = {
  name: 'test guests',
  scopes: ['all'],
  missing: async () => ((await guests()).zooStatus().zoo ? [] : ['not built yet; about 3 minutes']),
  provide: async (context) => {
    if (!context.isRoot)
      throw new CannotProvide(
        'Building the test guests needs root, once: their files belong to other users than you.',
        `sudo env MUSTER_CACHE=${path.resolve(cacheRoot(context.env))} ${process.execPath} ${builder}`,
        { needsRoot: true },
      );
    await (await guests()).zoo({ progress: (line) => context.say(`         ${line}`) });
  },
};
