/** Certificates as real servers show them, made for the test by openssl. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, TLSSocket } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { loadConfiguration } from '../../config/load';
import type { Configuration } from '../../config/configuration';
import { lookAtCertificates } from '../../stack/certificates';
import { lookAtControllers } from '../../stack/controller-certificates';
import type { MachinePower } from '../../platforms/physical/machine';
import { startRedfish } from '../support/redfish';

let folder: string;
let pair: { key: Buffer; cert: Buffer };
const servers: { close(done: () => void): unknown }[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-certificates-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-days', '20', '-nodes'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  pair = { key: readFileSync(key), cert: readFileSync(cert) };
});
afterAll(async () => {
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true, force: true });
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const configuration = (changes: Partial<Configuration['notifications']>, postgres: string): Configuration => {
  const plain = loadConfiguration({});
  const notifications = { ...plain.notifications, ...changes };
  return { ...plain, notifications, postgres: { ...plain.postgres, embedded: false, url: { text: postgres } } };
};
const mail = (port: number, security: 'tls' | 'starttls') => ({
  ...{ host: '127.0.0.1', port, security, user: null, password: null, from: 'muster@localhost' },
});

const days = (endsAt: string | null) =>
  endsAt === null ? null : Math.round((Date.parse(endsAt) - Date.now()) / 86_400_000);

test('webhooks, mail, Postgres and files tell when their certificate ends; what does not answer says why', async () => {
  const https = await listen(createServer(pair));
  const postgres = await listen(
    createTcpServer((socket) => {
      socket.once('data', () => {
        socket.write('S');
        new TLSSocket(socket, { ...pair, isServer: true }).on('error', () => undefined);
      });
    }),
  );
  const smtp = new SMTPServer({ ...pair, secure: false, authOptional: true });
  smtp.on('error', () => undefined);
  const smtpPort = await listen(smtp.server as unknown as Server);
  const closed = await listen(createTcpServer((socket) => socket.destroy()));
  const webhooks = [https, closed].map((port, index) => ({
    ...{ name: `hook${index}`, url: `https://127.0.0.1:${port}/x`, secret: { from: 'file' as const, name: 's' } },
  }));
  const file = join(folder, 'cert.pem');
  const url = `postgres://u@127.0.0.1:${postgres}/d?sslmode=require&sslrootcert=${encodeURIComponent(file)}`;
  const seen = await lookAtCertificates(configuration({ webhooks, mail: mail(smtpPort, 'starttls') }, url));
  expect(seen.map(({ of, endsAt }) => [of, days(endsAt)])).toEqual([
    ['webhook hook0', 20],
    ['webhook hook1', null],
    ['mail', 20],
    ['Postgres', 20],
    ['Postgres', 20],
  ]);
  expect(seen[1]!.because).not.toBeNull();
  const direct = await lookAtCertificates(configuration({ mail: mail(https, 'tls') }, 'postgres://u@127.0.0.1/d'));
  expect(direct.map(({ of, endsAt }) => [of, days(endsAt)])).toEqual([['mail', 20]]);
});

test('a controller of physical machines tells when its certificate ends, once for all its machines, and is asked for nothing else', async () => {
  const controller = await startRedfish(['1', '2'], { key: String(pair.key), cert: String(pair.cert) });
  const away = await startRedfish(['1']);
  await away.close();
  const machine = (name: string, url: string, change = {}): { name: string; power: MachinePower } => ({
    name,
    power: {
      kind: 'redfish',
      redfish: {
        ...{ url, systemId: '1', user: 'muster', password: { from: 'file', name: 'bmc' } },
        ...{ caFile: null, insecure: false, ...change },
      },
    },
  });
  try {
    const seen = await lookAtControllers([
      machine('rack-1', controller.url, { caFile: join(folder, 'cert.pem') }),
      machine('rack-2', controller.url, { caFile: join(folder, 'cert.pem') }),
      machine('rack-3', away.url.replace('http:', 'https:')),
      // No certificate, one that nobody checks, and no controller at all.
      machine('rack-4', 'http://127.0.0.1:1'),
      machine('rack-5', 'https://127.0.0.1:1', { insecure: true }),
      { name: 'rack-6', power: { kind: 'person', instructions: 'Press the button.' } },
    ]);
    const host = (url: string) => new URL(url).host;
    expect(seen.map(({ of, at, endsAt }) => [of, at, days(endsAt)])).toEqual([
      ['rack-1, rack-2', `${host(controller.url)} (controller of rack-1, rack-2)`, 20],
      ['rack-3', `${host(away.url)} (controller of rack-3)`, null],
      ['rack-1, rack-2', join(folder, 'cert.pem'), 20],
    ]);
    expect(controller.requests).toEqual([]);
  } finally {
    await controller.close();
  }
});
