/** What `muster doctor` finds of programs and room on this host, for readiness: only what is not as needed. */
import type { Configuration } from '../../config/configuration';
import type { ReadinessAnswer } from '../../model/readiness/site-readiness';
import { runChecks } from './check';
import { placeFor } from './place';
import { spaceChecks } from './space';
import { toolChecks } from './tools';

export async function failedHostChecks(configuration: Configuration): Promise<ReadinessAnswer['host']> {
  const place = await placeFor(configuration);
  const { checks } = await runChecks([...toolChecks(place), ...spaceChecks(place)]);
  return checks.flatMap(({ id, state, found, needed, remedy }) =>
    state === 'ok' ? [] : [{ name: id, severity: state, found, needed, remedy }],
  );
}
