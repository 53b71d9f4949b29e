/** Who is told of what without a runbook, and webhooks, as the configuration file lists them; and the mail server's settings together. */
import { z } from 'zod';
import { occasions, type NotificationRule } from '../model/runbook/runbook';
import { parseSecretRef, secretRefPattern, type SecretRef } from '../model/secrets';
import type { mailSecurities } from './mail-settings';
import { mayHoldSecret, showValue, type ConfigurationProblem } from './problems';
import { identifier } from './settings';

export interface MailServer {
  readonly host: string;
  readonly port: number;
  readonly security: (typeof mailSecurities)[number];
  readonly user: string | null;
  readonly password: SecretRef | null;
  readonly from: string;
}

export interface WebhookConfig {
  readonly name: string;
  readonly url: string;
  readonly secret: SecretRef;
}

export interface NotificationsConfig {
  /** null: none is configured, and mails cannot be sent. */
  readonly mail: MailServer | null;
  readonly webhooks: readonly WebhookConfig[];
  /** Of what has no runbook, and of occasions for which none names anybody. */
  readonly rules: readonly NotificationRule[];
  /** Where people reach this installation, without a slash at its end; null: mails have no links. */
  readonly publicUrl: string | null;
  readonly giveUpMs: number;
}

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** What a webhook may be sent to: https, or this machine. No user, no password. */
export function isWebhookUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname));
}

const webhook = z.strictObject({
  name: identifier,
  url: z.string().refine(isWebhookUrl, 'needs https://…, or http:// to this machine, without user and password'),
  secret: z
    .string()
    .regex(secretRefPattern, 'needs file:NAME or environment:NAME, never the secret itself')
    .transform((text) => parseSecretRef(text)!),
  /** Which occasions it is told of where no runbook's rule names them. */
  on: z.array(z.enum(occasions)).default([]),
});

const rule = z.strictObject({
  on: z.array(z.enum(occasions)).min(1),
  mail: z.array(z.email()).default([]),
  webhooks: z.array(z.string()).default([]),
});

const schema = z.strictObject({ notify: z.array(rule), webhooks: z.array(webhook) });

export interface NotificationValues {
  readonly mailHost: string | undefined;
  readonly mailPort: number | undefined;
  readonly mailSecurity: (typeof mailSecurities)[number];
  readonly mailUser: string | undefined;
  readonly mailPassword: string | undefined;
  readonly mailFrom: string | undefined;
  readonly mailTo: readonly string[] | undefined;
  readonly publicUrl: string | undefined;
  readonly notifyGiveUpHours: number;
}

const remedy = 'See docs/notifications.md.';

/** What is wrong goes into `problems`. */
export function readNotifications(
  file: string | null,
  tree: Readonly<Record<string, unknown>>,
  values: NotificationValues,
  problems: ConfigurationProblem[],
): NotificationsConfig {
  const written = { notify: tree['notify'] ?? [], webhooks: tree['webhooks'] ?? [] };
  const result = schema.safeParse(written);
  if (!result.success) problems.push(...result.error.issues.map((issue) => problemOf(file, written, issue)));
  const { notify, webhooks } = result.data ?? { notify: [], webhooks: [] };
  problems.push(...nameProblems(file, notify, webhooks), ...mailProblems(values));
  const to = values.mailTo ?? [];
  return {
    mail: mailServer(values),
    webhooks: webhooks.map(({ name, url, secret }) => ({ name, url, secret })),
    rules: [
      ...notify,
      ...webhooks.map(({ name, on }) => ({ on, mail: [], webhooks: [name] })),
      ...(to.length === 0 ? [] : [{ on: [...occasions], mail: to, webhooks: [] }]),
    ],
    publicUrl: values.publicUrl?.replace(/\/+$/, '') ?? null,
    giveUpMs: values.notifyGiveUpHours * 3_600_000,
  };
}

function mailServer(values: NotificationValues): MailServer | null {
  const { mailHost: host, mailSecurity: security, mailUser, mailPassword, mailFrom } = values;
  if (host === undefined) return null;
  return {
    host,
    security,
    port: values.mailPort ?? (security === 'tls' ? 465 : security === 'starttls' ? 587 : 25),
    user: mailUser ?? null,
    password: mailPassword === undefined ? null : parseSecretRef(mailPassword),
    from: mailFrom ?? `muster@${host}`,
  };
}

function problemOf(file: string | null, written: object, issue: z.core.$ZodIssue): ConfigurationProblem {
  const place = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  const found = issue.path.reduce<unknown>(
    (value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part],
    written,
  );
  return {
    where: `${file ?? 'notify'}: ${place.replace(/^\./, '')}`,
    found: showValue(found, mayHoldSecret(String(issue.path.at(-1) ?? ''))),
    needed: issue.message,
    remedy,
  };
}

function nameProblems(
  file: string | null,
  rules: readonly { readonly webhooks: readonly string[] }[],
  webhooks: readonly { readonly name: string }[],
): ConfigurationProblem[] {
  const names = webhooks.map(({ name }) => name);
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
  const unknown = [...new Set(rules.flatMap((one) => one.webhooks).filter((name) => !names.includes(name)))];
  const where = `${file ?? 'webhooks'}: webhooks`;
  return [
    ...twice.map((name) => ({
      ...{ where, found: `the name "${name}" more than once`, needed: 'names that differ', remedy },
    })),
    ...unknown.map((name) => ({
      ...{ where: `${file ?? 'notify'}: notify`, found: `the webhook "${name}"`, remedy },
      needed: names.length === 0 ? 'a webhook of the list `webhooks`' : `one of ${names.join(', ')}`,
    })),
  ];
}

/** Problems that only two values together have. */
function mailProblems(values: NotificationValues): ConfigurationProblem[] {
  const { mailHost, mailTo, mailUser, mailPassword, mailSecurity } = values;
  const problems: ConfigurationProblem[] = [];
  if (mailHost === undefined && mailTo !== undefined) {
    const needed = 'a mail server for these recipients';
    problems.push({ where: 'MUSTER_MAIL_TO', found: 'recipients', needed, remedy: 'Set MUSTER_MAIL_HOST.' });
  }
  if ((mailUser === undefined) !== (mailPassword === undefined)) {
    const found = mailUser === undefined ? 'a password without a user' : 'a user without a password';
    const both = 'Set both MUSTER_MAIL_USER and MUSTER_MAIL_PASSWORD, or neither.';
    problems.push({ where: 'MUSTER_MAIL_USER', found, needed: 'both or neither', remedy: both });
  }
  if (mailPassword !== undefined && mailSecurity === 'none' && !loopback.test(mailHost ?? '')) {
    const found = 'a password that would go over the network in clear text';
    const needed = 'starttls or tls';
    problems.push({ where: 'MUSTER_MAIL_SECURITY', found, needed, remedy: 'Set MUSTER_MAIL_SECURITY.' });
  }
  return problems;
}
