/** Certificates of what the configuration names: files, and what servers show. Only looked at: whether they are trusted is asked where they are used. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Configuration } from '../config/configuration';
import { readPostgresUrl } from '../config/postgres-url';
import type { CertificateSeen } from '../model/readiness/plan-risks';

const longestMs = 5_000;

/** Never throws: what cannot be read is in the answer. */
export function lookAtCertificates(configuration: Configuration): Promise<CertificateSeen[]> {
  const { mail, webhooks, publicUrl } = configuration.notifications;
  const https = [...webhooks.map(({ name, url }) => ({ of: `webhook ${name}`, url })), ...ownAddress(publicUrl)];
  return Promise.all([
    ...https
      .filter(({ url }) => url.startsWith('https:'))
      .map(({ of, url }) => look(of, hostOf(url), () => shownBy(hostOf(url), 443))),
    ...(mail?.security === 'tls'
      ? [look('mail', `${mail.host}:${mail.port}`, () => shownBy(`${mail.host}:${mail.port}`, 465))]
      : []),
    ...(mail?.security === 'starttls'
      ? [look('mail', `${mail.host}:${mail.port}`, () => shownBy(`${mail.host}:${mail.port}`, 587, askMail))]
      : []),
    ...postgres(configuration),
  ]);
}

const ownAddress = (url: string | null) => (url === null ? [] : [{ of: 'API', url }]);
const hostOf = (url: string): string => new URL(url).host;

/** Files that its URL names, and what the server shows where the URL asks for TLS. */
function postgres(configuration: Configuration): Promise<CertificateSeen>[] {
  let url: URL;
  try {
    url = new URL(readPostgresUrl(configuration));
  } catch {
    return [];
  }
  const files = ['sslrootcert', 'sslcert'].flatMap((name) => url.searchParams.get(name) ?? []);
  const mode = url.searchParams.get('sslmode');
  const usesTls = mode !== null && mode !== 'disable' && mode !== 'no-verify' && url.hostname !== '';
  return [
    ...files.map((path) => look('Postgres', path, async () => new X509Certificate(await readFile(path)))),
    ...(usesTls ? [look('Postgres', url.host, () => shownBy(url.host, 5432, askPostgres))] : []),
  ];
}

async function look(of: string, at: string, read: () => Promise<X509Certificate>): Promise<CertificateSeen> {
  try {
    return { of, at, endsAt: new Date((await read()).validTo).toISOString(), because: null };
  } catch (error) {
    return { of, at, endsAt: null, because: error instanceof Error ? error.message : String(error) };
  }
}

/** `ask` says in the protocol's own words that TLS comes now. */
async function shownBy(
  address: string,
  usualPort: number,
  ask?: (socket: Socket) => Promise<void>,
): Promise<X509Certificate> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connectTcp({ host, port: port === '' ? usualPort : Number(port) });
  const ended = new Promise<never>((_, reject) => {
    socket.setTimeout(longestMs, () => reject(new Error(`no answer within ${longestMs / 1000} s`)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('it hung up')));
  });
  try {
    return await Promise.race([ended, shake(socket, host, ask)]);
  } finally {
    socket.destroy();
  }
}

async function shake(socket: Socket, host: string, ask?: (socket: Socket) => Promise<void>): Promise<X509Certificate> {
  await ask?.(socket);
  return new Promise((resolve, reject) => {
    const secure = connectTls(
      { socket, servername: /^[\d.]+$|:/.test(host) ? '' : host, rejectUnauthorized: false },
      () => {
        const certificate = secure.getPeerX509Certificate();
        if (certificate === undefined) reject(new Error('it shows no certificate'));
        else resolve(certificate);
      },
    );
    secure.once('error', reject);
  });
}

/** SSLRequest (Postgres' protocol, message formats): answered by `S` or `N`. */
async function askPostgres(socket: Socket): Promise<void> {
  socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
  if ((await lineOf(socket, 1)) !== 'S') throw new Error('it offers no TLS');
}

/** RFC 3207. */
async function askMail(socket: Socket): Promise<void> {
  const said = async (code: string): Promise<void> => {
    for (;;) {
      const answer = await lineOf(socket);
      const last = answer.trimEnd().split('\r\n').at(-1)!;
      if (!last.startsWith(code)) throw new Error(`it answered ${last.slice(0, 80)}`);
      if (last[code.length] !== '-') return;
    }
  };
  await said('220');
  socket.write('EHLO muster\r\n');
  await said('250');
  socket.write('STARTTLS\r\n');
  await said('220');
}

function lineOf(socket: Socket, bytes?: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (bytes === undefined ? !text.endsWith('\n') : text.length < bytes) return;
      socket.off('data', onData);
      socket.pause();
      resolve(text);
    };
    socket.on('data', onData);
    socket.resume();
  });
}
