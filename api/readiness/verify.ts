/** Which runbooks are verified at this moment, each with what it contains. */
import type { ReadyRunbook } from '../../model/orders/build-plan';
import { shapeOf } from '../../model/readiness/shape';
import { textDifferences } from '../../model/readiness/text-differences';
import { verification, type Rehearsal, type RunbookNow, type Verification } from '../../model/readiness/verified';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import type { Store } from '../../store/contract';
import { readStored } from '../runbooks/stored';

type Stores = Pick<Store, 'runbooks' | 'rehearsals'>;

/** Asks once for each runbook, however many contain it. */
export class Verifier {
  private readonly done = new Map<string, Promise<Verification>>();

  constructor(
    private readonly store: Stores,
    private readonly runbooks: ReadonlyMap<string, ReadyRunbook>,
    private readonly servers: ReadonlyMap<string, ServerSpec>,
    private readonly nowMs: number,
  ) {}

  of(name: string): Promise<Verification> {
    const known = this.done.get(name);
    if (known !== undefined) return known;
    const asked = this.ask(this.runbooks.get(name)!, [name]);
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
      parts: await this.partsOf(ready, path),
    };
    const changed = await this.textsBefore(ready, closed);
    return verification(now, closed, this.nowMs, (version) => changed.get(version) ?? ['(its text is not known here)']);
  }

  private async partsOf({ runbook }: ReadyRunbook, path: readonly string[]): Promise<RunbookNow['parts']> {
    const parts: Record<string, RunbookNow['parts'][string]> = {};
    for (const { runbook: name } of runbook.includes) {
      const part = this.runbooks.get(name);
      // A circle is refused at import; one that came in by parts must not go round here for ever.
      parts[name] =
        part === undefined || path.includes(name)
          ? null
          : { sha256: part.sha256, verification: await this.ask(part, [...path, name]) };
    }
    return parts;
  }

  /** Keys that differ from each rehearsed version of another text. */
  private async textsBefore(now: ReadyRunbook, closed: readonly Rehearsal[]): Promise<Map<number, string[]>> {
    const name = now.runbook.name;
    const others = closed.flatMap(({ run }) => (run.runbook!.sha256 === now.sha256 ? [] : [run.runbook!.version]));
    const changed = new Map<number, string[]>();
    for (const version of new Set(others)) {
      const stored = await this.store.runbooks.find(name, version);
      const was = stored && (await readStored(stored).catch(() => undefined));
      if (was !== undefined) changed.set(version, textDifferences(was.runbook, now.runbook));
    }
    return changed;
  }
}
