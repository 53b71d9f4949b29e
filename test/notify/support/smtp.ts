/** A real SMTP server in this process, and mails as an independent reader reads them. */
import type { AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface Received {
  readonly mail: Email;
  /** The bytes as they came. */
  readonly raw: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly encrypted: boolean;
}

export interface TestSmtp {
  readonly port: number;
  readonly received: Received[];
  stop(): Promise<void>;
  /** Comes back on its port. */
  start(): Promise<void>;
}

/** Takes everything; `hidden` switches off what a test does without. */
export async function startSmtp(options: SMTPServerOptions = {}): Promise<TestSmtp> {
  const received: Received[] = [];
  let server: SMTPServer | undefined;
  let port = 0;
  const start = async (): Promise<void> => {
    server = new SMTPServer({
      disabledCommands: ['STARTTLS', 'AUTH'],
      logger: false,
      closeTimeout: 100,
      onData(stream, session, done) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const raw = Buffer.concat(chunks);
          const { mailFrom, rcptTo } = session.envelope;
          void PostalMime.parse(raw).then((mail) => {
            received.push({
              ...{ mail, raw: raw.toString('latin1'), user: session.user as string | undefined },
              from: mailFrom === false ? '' : mailFrom.address,
              to: rcptTo.map(({ address }) => address),
              encrypted: session.secure,
            });
            done();
          }, done);
        });
      },
      ...options,
    });
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve));
    port = (server.server.address() as AddressInfo).port;
  };
  await start();
  return {
    received,
    start,
    get port() {
      return port;
    },
    stop: () => new Promise((resolve) => server!.close(() => resolve())),
  };
}
