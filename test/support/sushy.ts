/**
 * sushy-tools' emulator of Redfish with its driver `fake`: a controller that others wrote, over TLS, with a password. It
 * tells every change of power to a URL, so that a test can put a machine behind it.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../stack/ports';
import { pythonProgram } from '../../tools/setup/python-programs.mjs';
import { redfishUser } from './redfish';

export interface Sushy {
  readonly url: string;
  readonly systemId: string;
  readonly caFile: string;
  close(): Promise<void>;
}

const systemId = '0195923c-70b4-4c31-9a55-3f2e8d10c7aa';

/** `onPower` is called with every state that the emulator reports, in order; repetitions included. */
export async function startSushy(folder: string, onPower: (state: string) => Promise<void>): Promise<Sushy> {
  mkdirSync(folder, { recursive: true });
  const [key, caFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', key, '-out', caFile];
  execFileSync('openssl', ['req', '-x509', ...curve, ...names, ...files, '-days', '2'], { stdio: 'ignore' });
  const told = await listenForPower(onPower);
  const port = await freePort();
  const config = join(folder, 'sushy.conf');
  writeFileSync(join(folder, 'users'), `${redfishUser.user}:${hashed(redfishUser.password)}\n`);
  writeFileSync(config, configuration({ folder, port, key, caFile, notify: told.url }));
  const emulator = spawn('setpriv', ['--pdeathsig', 'KILL', '--', pythonProgram('sushy-emulator'), '--config', config]);
  let said = '';
  for (const stream of [emulator.stdout, emulator.stderr])
    stream.on('data', (piece: Buffer) => (said += String(piece)));
  while (!said.includes('Running on')) {
    if (emulator.exitCode !== null) throw new Error(`sushy-emulator ended with ${emulator.exitCode}:\n${said}`);
    await sleep(50);
  }
  return {
    ...{ url: `https://127.0.0.1:${port}`, systemId, caFile },
    close: async () => {
      emulator.kill('SIGKILL');
      await told.close();
    },
  };
}

/** bcrypt, which the emulator's password file is in; by the emulator's own Python. */
function hashed(password: string): string {
  const python = join(pythonProgram('sushy-emulator'), '..', 'python');
  const program = 'import bcrypt,sys; print(bcrypt.hashpw(sys.stdin.buffer.read(), bcrypt.gensalt(4)).decode())';
  return execFileSync(python, ['-c', program], { input: password, encoding: 'utf8' }).trim();
}

function configuration(facts: { folder: string; port: number; key: string; caFile: string; notify: string }): string {
  const system = {
    uuid: systemId,
    name: 'rack-7',
    power_state: 'Off',
    nics: [{ mac: '52:54:00:6b:3c:58', ip: '10.0.0.7' }],
  };
  return [
    `SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'`,
    `SUSHY_EMULATOR_LISTEN_PORT = ${facts.port}`,
    `SUSHY_EMULATOR_SSL_KEY = '${facts.key}'`,
    `SUSHY_EMULATOR_SSL_CERT = '${facts.caFile}'`,
    `SUSHY_EMULATOR_AUTH_FILE = '${join(facts.folder, 'users')}'`,
    `SUSHY_EMULATOR_STATE_DIR = '${facts.folder}'`,
    `SUSHY_EMULATOR_FAKE_DRIVER = True`,
    `EXTERNAL_NOTIFICATION_URL = '${facts.notify}'`,
    `SUSHY_EMULATOR_FAKE_SYSTEMS = [${JSON.stringify(system).replace('}]}', '}], "external_notifier": True}')}]`,
    '',
  ].join('\n');
}

/** One notice after the other, as the emulator waits for each answer. */
async function listenForPower(onPower: (state: string) => Promise<void>) {
  let last = Promise.resolve();
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += String(piece)));
    request.on('end', () => {
      const { power_state } = JSON.parse(text) as { power_state: string };
      last = last.then(() => onPower(power_state));
      void last.then(
        () => response.end(),
        () => response.writeHead(500).end(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((done) => server.close(done)),
  };
}
