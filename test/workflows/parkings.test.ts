import type { DecisionRequest, Parking } from '../../workflows/messages';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';
import { Parkings } from '../../workflows/runner/parkings';
import { ines } from '../support/order';

const parking: Parking = {
  epoch: 1,
  step: 'power-on',
  item: null,
  title: 'Power on',
  kind: 'stuck',
  undo: false,
  since: '2026-03-14T02:11:07.412Z',
  cause: 'cannot allocate memory',
  remedy: '',
  allowed: ['retry', 'provide'],
  provides: [],
};
const request: DecisionRequest = {
  step: 'power-on',
  item: null,
  epoch: 1,
  decision: 'provide',
  reason: 'the host is small',
  from: null,
  input: { memoryBytes: 1024 ** 3 },
  by: ines,
};

test('less memory at power-on leads back to where the machine gets it, instead of being recorded without effect', () => {
  const parkings = new Parkings(pushButtonDeclaration.steps);
  parkings.add(parking);
  expect(() => parkings.check(request)).toThrow('Go back to step "create-machine" (from) to use it.');
  expect(parkings.check({ ...request, from: 'create-machine' }).parking).toBe(parking);
});
