/**
 * In which order test files are handed to the workers: the longest first, so that none is left over at the end, and guests beside
 * tests that wait. An emulated guest keeps a core busy, so one worker at least has something else while there is anything else.
 */

/** Seconds on two cores, for a checkout whose files jest has not timed yet; what is not named takes as long as its kind does. */
const known = {
  'system/three-tier.guest': 400,
  'system/recovery.guest': 400,
  'disks/zoo/rich-guests.guest': 350,
  'campaign/runbooks/runbooks.slow': 300,
  'campaign/campaign.slow': 250,
  'replication/libvirt.guest': 200,
  'disks/v2v.guest': 200,
  'disks/windows/inoculation.guest': 200,
  'system/rehearsal.guest': 190,
  'disks/inoculation.guest': 150,
  'disks/regeneration.guest': 150,
  'api/many-stuck.slow': 110,
  'system/physical.guest': 110,
  'platforms/libvirt.guest': 90,
  'workflows/faults.slow': 90,
  'disks/prepared.guest': 80,
  'disks/zoo/mini-layouts.guest': 80,
  'system/interference.guest': 80,
  'workflows/killed-worker.slow': 70,
  'security/fuzz.slow': 60,
  'replication/copies.slow': 60,
};
const usual = { guest: 50, slow: 25, quick: 1 };

const kindOf = (path) => /\.(guest|slow)\.test\.ts$/.exec(path)?.[1] ?? 'quick';

/** @param {string} path of the file @param {number | undefined} measuredMs by jest, in an earlier run */
function secondsOf(path, measuredMs) {
  if (measuredMs !== undefined) return measuredMs / 1000;
  const name = Object.keys(known).find((one) => path.endsWith(`/test/${one}.test.ts`));
  return name === undefined ? usual[kindOf(path)] : known[name];
}

/**
 * Plays the run: whichever worker is free first gets the longest file that is left; guests have all workers but one.
 *
 * @param {readonly { path: string, seconds: number, failed: boolean }[]} files those that failed last time come first
 * @param {number} workers
 */
function orderFiles(files, workers) {
  const left = [...files].sort((a, b) => Number(b.failed) - Number(a.failed) || b.seconds - a.seconds);
  const isGuest = ({ path }) => kindOf(path) === 'guest';
  const lanes = Array.from({ length: workers }, () => ({ freeAt: 0, guest: false }));
  const order = [];
  while (left.length > 0) {
    const lane = lanes.reduce((first, one) => (one.freeAt < first.freeAt ? one : first));
    const guests = lanes.filter((one) => one.guest && one.freeAt > lane.freeAt).length;
    const room = guests < Math.max(1, workers - 1);
    const at = room ? 0 : left.findIndex((file) => !isGuest(file));
    const [next] = left.splice(Math.max(0, at), 1);
    lane.freeAt += next.seconds;
    lane.guest = isGuest(next);
    order.push(next);
  }
  return order;
}

module.exports = { orderFiles, secondsOf };
