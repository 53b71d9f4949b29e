/** A workflow for test/workflows/early-queries: it says what time it was when the word came. */
import { condition, defineQuery, defineSignal, setHandler } from '@temporalio/workflow';

export const word = defineSignal('word');
export const toldQuery = defineQuery<boolean>('told');

export async function waitsForWord(): Promise<number> {
  let told = false;
  setHandler(word, () => void (told = true));
  setHandler(toldQuery, () => told);
  await condition(() => told);
  return Date.now();
}
