import { buildOrder } from '../../../api/recoveries/build-order';
import { newRecoverySchema } from '../../../api/schemas/recoveries';
import { ines, storyServer } from '../../support/order';

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

describe('onto a physical machine', () => {
  const rack = { name: 'rack-7', hardware: 'physical-nvme', cpuCount: 16, memoryBytes: 64 * 1024 ** 3 };
  const onto = (more: object) =>
    buildOrder(
      newRecoverySchema.parse({ server: 'app01', reason: 'a test', hardware: 'physical-nvme', ...more }),
      storyServer,
      { ...context, physicalMachines: [rack, { ...rack, name: 'rack-8', hardware: 'physical-ahci' }] },
    );

  test('the machine is named, and its processors and memory are its own', () => {
    const order = onto({ machineName: 'rack-7', overwriteDisks: ['/dev/sda'] });
    expect(order.target).toMatchObject({ machineName: 'rack-7', cpuCount: 16, memoryBytes: 64 * 1024 ** 3 });
    expect(order.target.overwriteDisks).toEqual(['/dev/sda']);
    expect(order).not.toHaveProperty('physicalMachines');
  });

  test.each([
    [{}, /machineName is missing.*physical-nvme: rack-7$/],
    [{ machineName: 'rack-9' }, /"rack-9" is not configured.*rack-7/],
    [{ machineName: 'rack-8' }, /"rack-8" has hardware physical-ahci/],
    [{ machineName: 'rack-7', memoryBytes: 1024 ** 3 }, /are its own; leave them out/],
    [{ machineName: 'rack-7', option: 'destructive' }, /nothing to commit/],
  ])('what it cannot be asked is refused: %j', (more, text) => {
    expect(() => onto(more)).toThrow(text);
  });
});
