/** Settings of notifications: the mail server, whom to tell, and what links start with. */
import { z } from 'zod';
import { secretRefPattern } from '../model/secrets';
import { listOf, port, portNeeded, setting, text, wholeNumber } from './setting';

/** How Muster talks to the mail server. none: in clear text, for one on this machine. */
export const mailSecurities = ['starttls', 'tls', 'none'] as const;

export const mailSettings = {
  publicUrl: setting('MUSTER_PUBLIC_URL', 'api.publicUrl', z.url({ protocol: /^https?$/ }).optional(), {
    meaning: 'where people reach the API: what links in mails start with',
    needed: 'https://host, with port and path where there are any',
    standard: 'none: mails have no links',
  }),
  mailHost: setting('MUSTER_MAIL_HOST', 'mail.host', text.optional(), {
    meaning: 'mail server that notifications are sent through (SMTP)',
    needed: 'a host name or address',
    standard: 'none: no mails',
  }),
  mailPort: setting('MUSTER_MAIL_PORT', 'mail.port', port.optional(), {
    meaning: 'its port',
    needed: portNeeded,
    standard: '587 with starttls, 465 with tls, 25 with none',
  }),
  mailSecurity: setting('MUSTER_MAIL_SECURITY', 'mail.security', z.enum(mailSecurities).default('starttls'), {
    meaning: 'how it is talked to: TLS after STARTTLS, which must be there; TLS from the start; clear text',
    needed: 'starttls, tls or none',
    standard: '`starttls`',
  }),
  mailUser: setting('MUSTER_MAIL_USER', 'mail.user', text.optional(), {
    meaning: 'user at the mail server',
    needed: 'a name',
    standard: 'none: no login',
  }),
  mailPassword: setting('MUSTER_MAIL_PASSWORD', 'mail.password', z.string().regex(secretRefPattern).optional(), {
    meaning: 'where the password is, never the password itself; resolved by the API',
    needed: 'file:NAME or environment:NAME',
    standard: 'none',
    secret: true,
  }),
  mailFrom: setting('MUSTER_MAIL_FROM', 'mail.from', z.email().optional(), {
    meaning: 'sender of the mails',
    needed: 'a mail address',
    standard: '`muster@` and the mail server',
  }),
  mailTo: setting('MUSTER_MAIL_TO', 'mail.to', listOf(z.email()).optional(), {
    meaning: 'who is told on every occasion for which no runbook names anybody; finer ones: `notify` in the file',
    needed: 'mail addresses, separated by commas',
    standard: 'nobody',
  }),
  notifyGiveUpHours: setting('MUSTER_NOTIFY_GIVE_UP_HOURS', 'mail.giveUpHours', wholeNumber(1, 720).default(24), {
    meaning: 'how long a mail or webhook that cannot be delivered is tried',
    needed: 'a whole number from 1 to 720',
    standard: '`24`',
  }),
} as const;
