/** Many questions, a few at a time: 2,000 at once would keep whoever answers from everything else. */

/** The answers in the order of what was asked about. Rejects with the first failure; what is under way then ends by itself. */
export async function fewAtOnce<T, R>(atOnce: number, items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers = new Array<R>(items.length);
  const left = items.entries();
  const askNext = async (): Promise<void> => {
    for (const [at, item] of left) answers[at] = await ask(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, askNext));
  return answers;
}
