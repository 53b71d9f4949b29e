/** A text becomes an immutable version, when nothing is wrong with it. */
import type { Person, RunbookVersion } from '../../store/contract';
import { Problem } from '../problems';
import type { ImportedDocument, RunbookDocument, RunbookSummary } from '../schemas/runbooks';
import { checkText, hasErrors, problemDocument, type CheckParts } from './check';
import { noSuchRunbook, textRefused } from './refused';

/**
 * The newest text again is the version that it is; an earlier one comes back as a new version.
 *
 * @throws Problem `runbook-errors` with every problem that was found; `part-unavailable` while Postgres is down.
 */
export async function importText(
  deps: CheckParts,
  text: string,
  person: Person,
): Promise<Omit<ImportedDocument, 'notScheduled'>> {
  const { file, problems, notChecked, asked } = await checkText(deps, text);
  if (file === undefined || hasErrors(problems)) throw textRefused('Nothing was imported', problems);
  if (asked?.inventory == null) throw new Problem('part-unavailable', `Nothing was imported: ${notChecked.join('; ')}`);
  const { name, title, tier, includes } = file;
  const { runbook, seenBefore, sameAs } = await deps.store.runbooks.import({
    ...{ name, text, title, tier, importedBy: person.name },
    includes: includes.map((one) => one.runbook),
  });
  const warnings = problems.map(problemDocument);
  return { ...summary(runbook), seenBefore, sameAs, warnings, notChecked: [...notChecked] };
}

export function summary({
  name,
  version,
  sha256,
  title,
  tier,
  includes,
  importedBy,
  importedAt,
}: RunbookVersion): RunbookSummary {
  return { name, version, sha256, title, tier, includes: [...includes], importedBy, importedAt };
}

/** @throws Problem `not-found` with near names, or with the versions that there are. */
export async function showRunbook(
  { store }: Pick<CheckParts, 'store'>,
  name: string,
  version: number | undefined,
): Promise<RunbookDocument> {
  const [stored, versions] = await Promise.all([store.runbooks.find(name, version), store.runbooks.versions(name)]);
  if (stored === undefined) throw await noSuchRunbook(name, version, versions, () => store.runbooks.index());
  const listed = versions.map(({ version, sha256, importedBy, importedAt }) => ({
    version,
    sha256,
    importedBy,
    importedAt,
  }));
  return { ...summary(stored), text: stored.text, versions: listed };
}
