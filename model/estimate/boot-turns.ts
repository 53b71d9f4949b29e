/** Machines that boot in thought: a site lets a few boot at the same time, over all plans, the others after them in the order in which they came. */
interface Waiting {
  readonly most: number;
  readonly boot: (freedBy: string) => void;
}

export class BootTurns {
  private readonly booting = new Map<string, number>();
  private readonly waiting = new Map<string, Waiting[]>();

  /**
   * @param most how many may boot at the site with this one; Infinity: it is not counted either
   * @param boot called when its turn has come, with the name of who made room; null: there was room
   */
  take(siteId: string, most: number, boot: (freedBy: string | null) => void): void {
    if (this.enter(siteId, most)) return boot(null);
    const queue = this.waiting.get(siteId) ?? [];
    this.waiting.set(siteId, queue);
    queue.push({ most, boot });
  }

  /** It boots already: it counts from now on, and waits for nobody. */
  join(siteId: string, most: number): void {
    if (most !== Infinity) this.booting.set(siteId, (this.booting.get(siteId) ?? 0) + 1);
  }

  end(siteId: string, most: number, name: string): void {
    if (most === Infinity) return;
    this.booting.set(siteId, this.booting.get(siteId)! - 1);
    const queue = this.waiting.get(siteId) ?? [];
    const next = queue.findIndex((one) => this.enter(siteId, one.most));
    if (next >= 0) queue.splice(next, 1)[0]!.boot(name);
  }

  private enter(siteId: string, most: number): boolean {
    if (most === Infinity) return true;
    if ((this.booting.get(siteId) ?? 0) >= most) return false;
    this.join(siteId, most);
    return true;
  }
}
