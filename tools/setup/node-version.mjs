/** Node itself: new enough for package.json's `engines`. */
import { CannotProvide } from './step.mjs';

/** The step; `needed` is package.json's range, of which only the form `>=a.b.c` is used. */
export function nodeVersion(needed, found = process.versions.node) {
  return {
    name: 'Node',
    scopes: ['quick', 'demo', 'all'],
    missing: async () =>
      isAtLeast(found, needed.replace(/^>=\s*/, '')) ? [] : [`version ${needed}; this is ${found}`],
    provide: async () => {
      throw new CannotProvide(
        `Muster needs Node ${needed}; this is ${found}.`,
        'curl -fsSL https://deb.nodesource.com/setup_22.x | sudo bash - && sudo apt-get install -y nodejs',
      );
    },
  };
}

function isAtLeast(found, needed) {
  const [a, b] = [found, needed].map((version) => version.split('.').map(Number));
  const index = b.findIndex((part, place) => (a[place] ?? 0) !== part);
  return index === -1 || a[index] > b[index];
}
