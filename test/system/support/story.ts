/** Tests that tell one story: each needs what the one before it left. */

/** Declares the next one; after a failure the rest would only wait, and say so instead. */
export function story(): (title: string, body: () => Promise<void>) => void {
  let failed = false;
  return (title, body) => {
    test(title, async () => {
      if (failed) throw new Error('An earlier part of this story failed.');
      failed = true;
      await body();
      failed = false;
    });
  };
}
