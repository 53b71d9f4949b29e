/** Work on many things, a few of them at a time: every file and every program that is open counts against a process' limit. */

/** Results in the order of `items`. The first failure is thrown; what is under way then still ends, and nothing else begins. */
export async function fewAtOnce<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const take = async (): Promise<void> => {
    try {
      for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!);
    } catch (error) {
      next = items.length;
      throw error;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, take));
  return results;
}
