/**
 * Looking at all machines of a site, which many runs do at the same time when a runbook recovers hundreds of servers: each look takes the
 * longer the more machines there are. Who asks while somebody looks gets the next look, together with all who asked by then. Nobody is
 * shown anything from before the question.
 */
import type { CallOptions, Machine, Platform } from '../platforms/contract';
import { orAbort } from '../programs/within';

type Look = Promise<readonly Machine[]>;

interface Looks {
  current: Look | null;
  /** Begins when the current one ends, however it ends. */
  next: Look | null;
}

const looksAt = new WeakMap<Pick<Platform, 'list'>, Looks>();

/** @throws what the platform throws, for everybody who waited for that look; the signal's reason. */
export function allMachines(platform: Pick<Platform, 'list'>, { signal }: CallOptions = {}): Look {
  const looks = looksAt.get(platform) ?? { current: null, next: null };
  looksAt.set(platform, looks);
  const look = looks.current === null ? begin(platform, looks) : (looks.next ??= after(looks.current, platform, looks));
  return signal === undefined ? look : orAbort(look, signal);
}

/** Without anybody's signal: others wait for it, too. */
function begin(platform: Pick<Platform, 'list'>, looks: Looks): Look {
  looks.next = null;
  const look = platform.list();
  looks.current = look;
  const over = (): void => {
    if (looks.current === look) looks.current = null;
  };
  look.then(over, over);
  return look;
}

async function after(current: Look, platform: Pick<Platform, 'list'>, looks: Looks): Look {
  await current.catch(() => undefined);
  return begin(platform, looks);
}
