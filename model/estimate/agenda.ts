/** What happens when, in thought: earliest first, and where times are equal what is `last` last, else in the order in which it was noted. */
export class Agenda<T> {
  private readonly heap: { readonly atMs: number; readonly last: boolean; readonly order: number; readonly what: T }[] =
    [];
  private noted = 0;

  add(atMs: number, what: T, { last = false } = {}): void {
    const { heap } = this;
    let at = heap.push({ atMs, last, order: this.noted++, what }) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.isBefore(at, above)) return;
      this.swap(at, above);
      at = above;
    }
  }

  take(): { readonly atMs: number; readonly what: T } | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && this.isBefore(left, least)) least = left;
      if (right < heap.length && this.isBefore(right, least)) least = right;
      if (least === at) return first;
      this.swap(at, least);
      at = least;
    }
  }

  private isBefore(a: number, b: number): boolean {
    const [one, other] = [this.heap[a]!, this.heap[b]!];
    if (one.atMs !== other.atMs) return one.atMs < other.atMs;
    return one.last === other.last ? one.order < other.order : other.last;
  }

  private swap(a: number, b: number): void {
    [this.heap[a], this.heap[b]] = [this.heap[b]!, this.heap[a]!];
  }
}
