/** The demo guest's image is in the cache; it is built once, which takes two to three minutes. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { demoGuest, demoGuestStatus } from '../demo-guest/build.mjs';
import { cacheRoot } from '../shared/cache.mjs';
import { CannotProvide } from './step.mjs';

const builder = fileURLToPath(new URL('../demo-guest/build.mjs', import.meta.url));

export const demoGuestStep = {
  name: 'demo guest',
  scopes: ['demo', 'all'],
  missing: async () => (demoGuestStatus().guest ? [] : ['not built yet; about 3 minutes']),
  provide: async (context) => {
    if (!context.isRoot)
      throw new CannotProvide(
        'Building the demo guest needs root, once: its files belong to other users than you.',
        `sudo env MUSTER_CACHE=${path.resolve(cacheRoot(context.env))} ${process.execPath} ${builder}`,
        { needsRoot: true },
      );
    await demoGuest({ progress: (line) => context.say(`         ${line}`) });
  },
};
