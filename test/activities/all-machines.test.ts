/** Many who ask for all machines of a site at the same time: what each is shown, and how often the site is asked. */
import { allMachines } from '../../activities/all-machines';
import type { Machine } from '../../platforms/contract';

/** A site whose looks end when the test says so; each shows what was there when it began. */
function site() {
  const there: string[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const list = () => {
    const seen = there.map((name) => ({ name }) as Machine);
    return new Promise<Machine[]>((resolve, reject) =>
      ends.push((error) => (error === undefined ? resolve(seen) : reject(error))),
    );
  };
  return { platform: { list }, there, ends };
}
const namesOf = async (look: Promise<readonly Machine[]>) => (await look).map(({ name }) => name);
/** What follows from a look's end has happened. */
const settled = () => new Promise(setImmediate);

test('who asks while somebody looks is shown the next look, with all that was there at the question, and so is everybody else', async () => {
  const { platform, there, ends } = site();
  const first = allMachines(platform);
  there.push('db01');
  const others = Array.from({ length: 40 }, () => allMachines(platform));
  expect(ends).toHaveLength(1);
  ends[0]!();
  expect(await namesOf(first)).toEqual([]);
  await settled();
  there.push('app01');
  const later = allMachines(platform);
  ends[1]!();
  for (const other of others) expect(await namesOf(other)).toEqual(['db01']);
  await settled();
  ends[2]!();
  expect(await namesOf(later)).toEqual(['db01', 'app01']);
  await settled();
  const alone = allMachines(platform);
  expect(ends).toHaveLength(4);
  ends[3]!();
  expect(await alone).toHaveLength(2);
});

test('a look that fails does so for who waited for it, and for nobody after', async () => {
  const { platform, ends } = site();
  const first = allMachines(platform);
  const second = allMachines(platform);
  ends[0]!(new Error('the host is away'));
  await expect(first).rejects.toThrow('the host is away');
  await settled();
  ends[1]!();
  expect(await second).toEqual([]);
});

test('who goes away takes nobody’s look', async () => {
  const { platform, ends } = site();
  const gone = new AbortController();
  const [aborted, stays] = [allMachines(platform, gone), allMachines(platform)];
  gone.abort(new Error('the run was aborted'));
  await expect(aborted).rejects.toThrow('the run was aborted');
  ends[0]!();
  await settled();
  ends[1]!();
  expect(await stays).toEqual([]);
});
