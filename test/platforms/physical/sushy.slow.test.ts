/** The Redfish client against a service that others wrote; switching through it is part of test/system/physical. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RedfishPower } from '../../../platforms/physical/machine';
import { openRedfish } from '../../../platforms/physical/redfish';
import { redfishUser } from '../../support/redfish';
import { startSushy, type Sushy } from '../../support/sushy';
import { expectFailure } from '../conformance';

jest.setTimeout(120_000);

let folder: string;
let sushy: Sushy;
const told: string[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-sushy-'));
  sushy = await startSushy(folder, async (state) => void told.push(state));
});
afterAll(async () => {
  await sushy?.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = (change: Partial<RedfishPower> = {}, password = redfishUser.password) =>
  openRedfish({
    machine: 'rack-7',
    power: {
      ...{ url: sushy.url, systemId: sushy.systemId, user: redfishUser.user, caFile: sushy.caFile, insecure: false },
      password: { from: 'file', name: 'bmc' },
      ...change,
    },
    secret: async () => Buffer.from(password),
    answerTimeoutMs: 15_000,
    pollMs: 200,
  });

test('it tells its state, and refuses a wrong password, an unknown certificate and an unknown system', async () => {
  expect(await open().state()).toBe('Off');
  await expectFailure(open({}, 'wrong').state(), 'OperatorError', /refuses the user muster.*HTTP 401/);
  await expectFailure(open({ caFile: null }).state(), 'OperatorError', /certificate that cannot be trusted/);
  await expectFailure(
    open({ systemId: 'no-such' }).state(),
    'OperatorError',
    new RegExp(`no system no-such: found ${sushy.systemId}`),
  );
});

test('it is told to boot from disk and switched on; shutting down goes through the operating system', async () => {
  await open().on();
  expect(told.at(-1)).toBe('On');
  await open().shutdown();
  expect(told.at(-1)).toBe('Off');
});
