/** Which runbooks are verified at this moment, each with what it contains. */
import type { ReadyRunbook } from '../../model/orders/build-plan';
import { shapeOf } from '../../model/readiness/shape';
import { textDifferences } from '../../model/readiness/text-differences';
import { measuredAgainst, verification, type RunbookNow, type Verification } from '../../model/readiness/verified';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import type { Store } from '../../store/contract';
import { readStored } from '../runbooks/stored';

type Stores = Pick<Store, 'runbooks' | 'rehearsals'>;

/** Asks once for each runbook, however many contain it; one question after the other. */
export class Verifier {
  private readonly done = new Map<string, Promise<Verification>>();

  constructor(
    private readonly store: Stores,
    private readonly runbooks: ReadonlyMap<string, ReadyRunbook>,
    private readonly servers: ReadonlyMap<string, ServerSpec>,
    private readonly nowMs: number,
    private readonly changedAtSource: ReadonlyMap<string, readonly string[]>,
  ) {}

  of(name: string): Promise<Verification> {
    return this.within(name, []);
  }

  private within(name: string, above: readonly string[]): Promise<Verification> {
    const known = this.done.get(name);
    if (known !== undefined) return known;
    const asked = this.ask(this.runbooks.get(name)!, [...above, name]);
    this.done.set(name, asked);
    return asked;
  }

  private async ask(ready: ReadyRunbook, path: readonly string[]): Promise<Verification> {
    const { runbook, sha256 } = ready;
    const closed = await this.store.rehearsals.closed(runbook.name, sha256);
    const now: RunbookNow = {
      name: runbook.name,
      sha256,
      verifiedForMs: runbook.rehearsal.verifiedForMs,
      servers: Object.fromEntries(
        runbook.servers.map(({ name, target }) => {
          const server = this.servers.get(name);
          return [name, server === undefined ? null : shapeOf(server, hardwareProfiles[target.hardware ?? ''] ?? null)];
        }),
      ),
      changedAtSource: this.changedAtSource,
      parts: await this.partsOf(ready, path),
    };
    const before = measuredAgainst(now, closed)?.run.runbook ?? null;
    const changed = before === null || before.sha256 === sha256 ? [] : await this.keysChanged(ready, before.version);
    return verification(now, closed, this.nowMs, changed);
  }

  private async partsOf({ runbook }: ReadyRunbook, path: readonly string[]): Promise<RunbookNow['parts']> {
    const parts: Record<string, RunbookNow['parts'][string]> = {};
    for (const { runbook: name } of runbook.includes) {
      const part = this.runbooks.get(name);
      // A circle is refused at import; one that came in by parts must not go round here for ever.
      parts[name] =
        part === undefined || path.includes(name)
          ? null
          : { sha256: part.sha256, verification: await this.within(name, path) };
    }
    return parts;
  }

  private async keysChanged({ runbook }: ReadyRunbook, version: number): Promise<readonly string[]> {
    const stored = await this.store.runbooks.find(runbook.name, version);
    const was = stored && (await readStored(stored).catch(() => undefined));
    return was === undefined ? ['(its text is not known here)'] : textDifferences(was.runbook, runbook);
  }
}
