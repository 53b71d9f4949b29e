import { buildOrder } from '../../api/recoveries/build-order';
import { newRecoverySchema } from '../../api/schemas/recoveries';
import { ines, storyServer } from '../support/order';

const context = {
  runId: '0195923c-70b4-7c31-9a55-3f2e8d10c7aa',
  tenantId: 'default',
  coreId: 'core1',
  requestedAt: '2026-03-14T02:11:07.120Z',
  requestedBy: ines,
};
const order = (more: object) =>
  buildOrder(
    newRecoverySchema.parse({ server: 'app01', reason: 'a test', hardware: 'vmware-pvscsi', ...more }),
    storyServer,
    context,
  );

test('a lost source is waited for shortly, one that is to shut itself down long enough to do so', () => {
  expect(order({ intent: 'disaster' }).sourceDeadlineMs).toBe(20_000);
  expect(order({ intent: 'planned' }).sourceDeadlineMs).toBe(300_000);
  expect(order({ intent: 'planned', sourceDeadlineMs: 7_000 }).sourceDeadlineMs).toBe(7_000);
});
