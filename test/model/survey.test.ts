/** What a difference between two surveys of a site means. */
import { compareSurveys, isDifference, type Survey, type SurveyItem } from '../../model/survey';

const run = { runId: '01a1fe7e-0000-7000-8000-000000000001', names: ['app01-rehearsal', 'uuid-of-app01'] };
const other = '01a1fe7e-0000-7000-8000-000000000002';

const survey = (...items: SurveyItem[]): Survey => ({
  at: '2026-03-14T02:11:00.000Z',
  items,
  others: {},
  replication: { at: '', state: 'replicating', heldBy: null, points: 1, newestTakenAt: null, lagMs: 0 },
});
const item = (kind: SurveyItem['kind'], name: string, runId: string | null = null): SurveyItem => ({
  ...{ kind, name, runId },
  state: 'there',
});
const differences = (before: Survey, after: Survey) =>
  compareSurveys(before, after, run)
    .filter(isDifference)
    .map(({ name, verdict }) => `${name}: ${verdict}`);

test('what the run owns is left behind, by its tag, its id in the name, or a name of its own', () => {
  const after = survey(
    item('machine', 'anything', run.runId),
    item('disks of a run', `/replica/runs/${run.runId}`),
    item('console log', '/consoles/uuid-of-app01.console.log'),
  );
  expect(differences(survey(), after)).toEqual([
    'anything: left behind',
    `/replica/runs/${run.runId}: left behind`,
    '/consoles/uuid-of-app01.console.log: left behind',
  ]);
});

test('other runs of the site come and go: their machines, networks, pools and console logs prove nothing', () => {
  const theirs = [
    item('machine', 'app02-rehearsal', other),
    item('network', 'rehearsal-lan', other),
    item('storage pool', `pool over /replica/${other}`),
    item('console log', '/consoles/uuid-of-app02.console.log'),
  ];
  expect(differences(survey(...theirs), survey())).toEqual([]);
  expect(differences(survey(), survey(...theirs))).toEqual([]);
});

test('a file or marker of the server’s own replica must be as it was', () => {
  const [file, marker] = [item('file', '/replica/app01/base.qcow2'), item('marker', '/replica/app01/held')];
  expect(differences(survey(file), survey())).toEqual(['/replica/app01/base.qcow2: missing']);
  expect(differences(survey(), survey(marker))).toEqual(['/replica/app01/held: changed']);
  expect(differences(survey(file, marker), survey(file, marker))).toEqual([]);
});
