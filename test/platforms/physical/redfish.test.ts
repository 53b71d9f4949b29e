/** Power through a controller that does not do what a good one does, and through a person. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RedfishPower } from '../../../platforms/physical/machine';
import { openRedfish } from '../../../platforms/physical/redfish';
import { whileCollecting } from '../../support/garbage';
import { redfishUser, startRedfish, type TestRedfish } from '../../support/redfish';
import { expectFailure } from '../conformance';

let service: TestRedfish;
beforeEach(async () => {
  service = await startRedfish(['1', 'blade-2']);
});
afterEach(() => service?.close());

const open = (change: Partial<RedfishPower> = {}, password = redfishUser.password, answerTimeoutMs = 5_000) =>
  openRedfish({
    machine: 'rack-7',
    power: {
      ...{ url: service.url, systemId: '1', user: redfishUser.user, caFile: null, insecure: false },
      password: { from: 'file', name: 'bmc' },
      ...change,
    },
    secret: async () => Buffer.from(password),
    answerTimeoutMs,
    pollMs: 5,
  });

test('it is switched on and off once each, however often that is asked for', async () => {
  const redfish = open();
  expect(await redfish.state()).toBe('Off');
  await redfish.on();
  await redfish.on();
  expect(service.states.get('1')).toBe('On');
  await redfish.off();
  await redfish.off();
  expect(service.states.get('1')).toBe('Off');
  expect(service.requests.filter((line) => line.startsWith('POST'))).toEqual([
    'POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset On',
    'POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset ForceOff',
  ]);
});

test('a wrong password is for a person, names the reference, and the password stands nowhere', async () => {
  const error = await expectFailure(open({}, 'not-this-one').on(), 'OperatorError', /refuses the user muster/);
  expect(error.message).toContain('file:bmc');
  expect(error.message).toContain('HTTP 401');
  expect(JSON.stringify({ ...error, text: error.message, stack: error.stack })).not.toContain('not-this-one');
});

test.each([[503], [500], [429]])('HTTP %d passes by itself', async (status) => {
  service.fault = () => ({ status, body: '{"error":{"message":"busy \\u001b[2J"}}' });
  const error = await expectFailure(open().on(), 'TransientError', new RegExp(`HTTP ${status}`));
  expect(error.message).not.toContain('\u001b');
});

test('a controller that hangs is given up in time, and a cancelled call at once', async () => {
  service.fault = () => 'hang';
  const impatient = open({}, redfishUser.password, 300);
  await expectFailure(
    whileCollecting(impatient.state({ signal: new AbortController().signal })),
    'TransientError',
    /does not answer.*no answer within 300 ms/,
  );
  const reason = new Error('the run was aborted');
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), 20);
  await expect(open().state({ signal: abort.signal })).rejects.toBe(reason);
});

test('nobody at the address passes by itself; something that is not Redfish does not', async () => {
  await expectFailure(open({ url: 'http://127.0.0.1:1' }).state(), 'TransientError', /ECONNREFUSED/);
  service.fault = () => ({ status: 200, body: '<html>Welcome</html>' });
  await expectFailure(open().state(), 'OperatorError', /does not speak Redfish.*<html>/);
  service.fault = () => ({ status: 302, body: '' });
  await expectFailure(open().state(), 'PermanentError', /HTTP 302/);
  service.fault = () => ({ status: 200, body: '{"Id":"1"}' });
  await expectFailure(open().state(), 'PermanentError', /does not tell its power state/);
});

test('a system that the controller does not have is refused with those that it has', async () => {
  await expectFailure(open({ systemId: '7' }).on(), 'OperatorError', /no system 7: found 1, blade-2/);
});

test('a reset that is refused is not tried again by itself', async () => {
  service.fault = (line) =>
    line.startsWith('POST') ? { status: 400, body: '{"error":{"message":"Not in this state"}}' } : undefined;
  await expectFailure(open().on(), 'PermanentError', /HTTP 400 \(Not in this state\) to Reset On/);
});

test('a state that does not come is said with the one that is there', async () => {
  service.fault = (line) => (line.startsWith('POST') ? { status: 204 } : undefined);
  await expectFailure(
    open().on({ deadlineMs: 30 }),
    'TransientError',
    /was switched on and is not On: found PowerState Off/,
  );
  service.states.set('1', 'On');
  await expectFailure(open().shutdown({ deadlineMs: 30 }), 'TransientError', /does not shut down: found PowerState On/);
});

test('the password goes to no other place than the configured one', async () => {
  const body = { PowerState: 'Off', Actions: { '#ComputerSystem.Reset': { target: 'http://127.0.0.1:1/steal' } } };
  service.fault = (line) => (line.startsWith('GET') ? { status: 200, body: JSON.stringify(body) } : { status: 204 });
  await expectFailure(open().on({ deadlineMs: 20 }), 'TransientError');
  expect(service.requests).toContain('POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset On');
});

describe('over TLS', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'muster-redfish-'));
    const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...key, ...names, ...files, '-days', '2'], { stdio: 'ignore' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('a certificate of its own is refused with what to do, and taken with its authority or when told to', async () => {
    await service.close();
    const cert = readFileSync(join(folder, 'cert.pem'), 'utf8');
    service = await startRedfish(['1'], { cert, key: readFileSync(join(folder, 'key.pem'), 'utf8') });
    const error = await expectFailure(open().on(), 'OperatorError', /certificate that cannot be trusted/);
    expect(error.message).toContain('caFile');
    expect(service.requests).toEqual([]);
    expect(await open({ caFile: join(folder, 'cert.pem') }).state()).toBe('Off');
    expect(await open({ insecure: true }).state()).toBe('Off');
    await expectFailure(open({ caFile: join(folder, 'none.pem') }).state(), 'OperatorError', /none\.pem: ENOENT/);
  });
});
