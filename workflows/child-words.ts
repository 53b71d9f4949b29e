/**
 * What the runs of a plan tell it. A word may come before the plan has taken up that the run has started: where both are in one task, as
 * after the plan's worker was lost, the SDK hands out signals first (core of 1.24: worker/workflow/mod.rs sorts the jobs of an
 * activation). A run says each word once, so such a word is kept until its run is known.
 */
import { patched, setHandler, type SignalDefinition } from '@temporalio/workflow';
import type { Child } from './plan-child';

export class ChildWords {
  private readonly known = new Map<string, Child>();
  private readonly early = new Map<string, ((child: Child) => void)[]>();

  hear<T extends { readonly runId: string }>(
    signal: SignalDefinition<[T]>,
    act: (child: Child, word: T) => void,
  ): void {
    setHandler(signal, (word) => {
      const child = this.known.get(word.runId);
      if (child !== undefined) return act(child, word);
      const kept = this.early.get(word.runId) ?? [];
      this.early.set(word.runId, [...kept, (late) => act(late, word)]);
    });
  }

  /** From now on it is heard; what it has said already is heard now. */
  know(child: Child): void {
    const { runId } = child;
    this.known.set(runId, child);
    const kept = this.early.get(runId);
    // Earlier versions forgot it.
    if (kept === undefined || !patched(`heard-early-${runId}`)) return;
    this.early.delete(runId);
    for (const act of kept) act(child);
  }

  /** Every run that was ever started. */
  all(): Child[] {
    return [...this.known.values()];
  }
}
