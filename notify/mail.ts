/** Mails through the configured server, by nodemailer. One connection a mail: they are few, and a password may have changed. */
import { createTransport } from 'nodemailer';
import type { MailServer } from '../config/notifications';
import { OperatorError, PermanentError, TransientError } from '../model/errors';
import type { SecretRef } from '../model/secrets';
import type { Parcel } from '../store/notifications-contract';
import { renderMail } from '../templates/render-mail';
import type { Sender } from './message';

export interface MailDeps {
  /** null: none is configured. */
  readonly server: MailServer | null;
  readonly publicUrl: string | null;
  readonly secrets: (ref: SecretRef) => Promise<Buffer>;
  readonly clock: () => Date;
}

const connectTimeoutMs = 10_000;
const silenceTimeoutMs = 30_000;

export function createMailSender({ server, publicUrl, secrets, clock }: MailDeps): Sender {
  return {
    async send(parcel, signal) {
      if (server === null) throw noServer();
      const { subject, html, text } = renderMail({
        notices: parcel.notices,
        publicUrl,
        now: clock().toISOString(),
      });
      const domain = server.from.split('@').at(-1)!;
      const transport = await connect(server, secrets);
      const end = (): void => transport.close();
      signal.addEventListener('abort', end);
      try {
        await transport.sendMail({
          ...{
            from: { name: 'Muster', address: server.from },
            to: { name: '', address: parcel.to },
            subject,
            html,
            text,
          },
          ...{ disableFileAccess: true, disableUrlAccess: true },
          ...threadOf(parcel, domain),
          headers: { 'Auto-Submitted': 'auto-generated' },
        });
      } catch (error) {
        throw asFailure(error, server, parcel.to);
      } finally {
        signal.removeEventListener('abort', end);
        transport.close();
      }
    },
  };
}

async function connect(server: MailServer, secrets: MailDeps['secrets']) {
  const { host, port, security, user, password } = server;
  const pass = password === null ? '' : (await secrets(password)).toString('utf8');
  return createTransport({
    ...{ host, port, secure: security === 'tls', requireTLS: security === 'starttls', ignoreTLS: security === 'none' },
    ...(user === null ? {} : { auth: { user, pass } }),
    ...{ connectionTimeout: connectTimeoutMs, greetingTimeout: connectTimeoutMs, dnsTimeout: connectTimeoutMs },
    ...{ socketTimeout: silenceTimeoutMs, logger: false },
  });
}

/** The same parcel has the same id, so that a mail that was sent twice can be known; mails of one run are one thread. */
function threadOf({ parcelId, notices }: Parcel, domain: string) {
  const roots = new Set(notices.map(({ facts: { run }, key }) => run?.parentRunId ?? run?.runId ?? key));
  const messageId = `<${parcelId}@${domain}>`;
  const [root] = roots;
  if (roots.size !== 1 || root === undefined) return { messageId };
  const thread = `<${root.replace(/[^A-Za-z0-9.-]+/g, '.')}.run@${domain}>`;
  return { messageId, inReplyTo: thread, references: thread };
}

function asFailure(error: unknown, { host, port }: MailServer, to: string): Error {
  if (!(error instanceof Error))
    return new TransientError({ what: 'the mail could not be sent', found: String(error) });
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  const what = `the mail to ${to} could not be sent through ${host}:${port}`;
  const isRefused = code === 'EENVELOPE' && responseCode !== undefined && responseCode >= 500;
  if (isRefused) {
    const remedy = 'Correct the address where it is named: the runbook, or the configuration.';
    return new PermanentError({ what, found: error.message, needed: 'an address that the server takes', remedy });
  }
  const remedy = 'Check MUSTER_MAIL_HOST, its port, security, user and password; it is tried again by itself.';
  return new TransientError({ what, found: error.message, remedy });
}

const noServer = () =>
  new OperatorError({
    what: 'no mail can be sent',
    found: 'no mail server in the configuration',
    needed: 'MUSTER_MAIL_HOST',
    remedy: 'Set it (docs/notifications.md) and restart the API.',
  });
