/** Programs that runbooks may have run on this host: the folder that an administrator names, and each file in it. */
import { listPrograms } from '../../activities/scripts/programs';
import { asProblem, type Check } from './check';
import type { Place } from './place';
import { ok, warning, type Finding } from './report';

export function programChecks({ configuration }: Place): Check[] {
  return [{ id: 'scripts.folder', title: 'programs for runbooks', look: () => look(configuration.scriptsFolder) }];
}

/** That none is allowed is nothing to mend: most installations need none. */
async function look(folder: string | null): Promise<Finding> {
  if (folder === null) return ok('none: no folder is named, so runbooks may run no program on this host');
  const needed = 'files that root or the worker alone can change, and that can be run';
  try {
    const { programs, refused } = await listPrograms(folder);
    const allowed = `${folder}: ${programs.join(', ') || 'nothing in it'}`;
    if (refused.length === 0) return ok(allowed, needed);
    const reasons = refused.map(({ name, because }) => `${name}: ${because}`).join('; ');
    const remedy =
      'Give each to root with mode 0755, or take it out of the folder: scripts that name it would be stuck.';
    return warning(`${allowed}; refused: ${reasons}`, needed, remedy);
  } catch (error) {
    return asProblem(error);
  }
}
