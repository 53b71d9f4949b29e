/** The certificate that a file has, or that a server shows: when it ends. Whether it is trusted is asked where it is used. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { CertificateSeen } from '../model/readiness/plan-risks';

const longestMs = 5_000;

/** Never throws: what cannot be read is in the answer. */
export async function look(of: string, at: string, read: () => Promise<X509Certificate>): Promise<CertificateSeen> {
  try {
    return { of, at, endsAt: new Date((await read()).validTo).toISOString(), because: null };
  } catch (error) {
    return { of, at, endsAt: null, because: error instanceof Error ? error.message : String(error) };
  }
}

/** What is shown at `host:port`; `ask` says in the protocol's own words that TLS comes now. Only the handshake is made. */
export async function shownBy(
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
export async function askPostgres(socket: Socket): Promise<void> {
  socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
  if ((await lineOf(socket, 1)) !== 'S') throw new Error('it offers no TLS');
}

/** RFC 3207. */
export async function askMail(socket: Socket): Promise<void> {
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

/** The first of a PEM file. */
export const inFile = async (path: string): Promise<X509Certificate> => new X509Certificate(await readFile(path));
