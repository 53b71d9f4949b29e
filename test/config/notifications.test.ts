import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfiguration } from '../../config/load';
import { isWebhookUrl } from '../../config/notifications';
import { ConfigurationError } from '../../config/problems';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'muster-config-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function load(text: string, env: NodeJS.ProcessEnv = {}) {
  const path = join(folder, 'muster.yaml');
  writeFileSync(path, text);
  return loadConfiguration({ MUSTER_CONFIG: path, ...env }).notifications;
}

function placesOf(text: string, env: NodeJS.ProcessEnv = {}): string[] {
  try {
    load(text, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map(({ where, found }) => `${where.replace(/.*yaml: /, '')}: ${found}`);
  }
}

test('without anything nobody is told, and no mail server is talked to', () => {
  expect(load('')).toEqual({ mail: null, webhooks: [], rules: [], publicUrl: null, giveUpMs: 86_400_000 });
});

test('mail server, recipients, rules and webhooks are read; the port follows from how it is talked to', () => {
  const read = load(
    `api: { publicUrl: 'https://muster.example/' }
mail: { host: smtp.example, user: muster, password: file:smtp, to: [a@dr.example] }
notify: [{ on: [stuck], mail: [b@dr.example], webhooks: [chat] }]
webhooks: [{ name: chat, url: 'https://chat.example/h', secret: file:chat, on: [finished] }]`,
    { MUSTER_MAIL_SECURITY: 'tls' },
  );
  expect(read).toMatchObject({
    mail: { host: 'smtp.example', port: 465, password: { from: 'file', name: 'smtp' }, from: 'muster@smtp.example' },
    webhooks: [{ name: 'chat', secret: { from: 'file', name: 'chat' } }],
    publicUrl: 'https://muster.example',
  });
  expect(read.rules.map(({ on, mail, webhooks }) => [on.length, ...mail, ...webhooks])).toEqual([
    [1, 'b@dr.example', 'chat'],
    [1, 'chat'],
    [7, 'a@dr.example'],
  ]);
});

test('a webhook goes over https, or stays on this machine, and carries no password in its address', () => {
  const taken = ['https://a.example/x', 'http://127.0.0.1:8080/', 'http://localhost/x', 'http://[::1]:1/'];
  const refused = [
    ...['http://a.example/x', 'http://127.0.0.1.a.example/', 'ftp://a.example', 'https://u:p@a.example/', 'x'],
    ...['http://localhost.a.example/', 'file:///etc/passwd'],
  ];
  expect(taken.filter((url) => !isWebhookUrl(url))).toEqual([]);
  expect(refused.filter(isWebhookUrl)).toEqual([]);
});

test('every mistake is named, and a secret that stands there itself is not shown', () => {
  const places = placesOf(
    `mail: { host: smtp.example, user: muster, password: hunter2 }
notify: [{ on: [stuk], mail: [nobody] }, { on: [stuck], webhooks: [pager] }]
webhooks: [{ name: chat, url: 'http://chat.example/', secret: hunter3 }]`,
  );
  expect(places.join('\n')).not.toMatch(/hunter/);
  expect(places.map((place) => place.split(': ')[0])).toEqual(
    expect.arrayContaining(['mail.password', 'notify[0].on[0]', 'notify[0].mail[0]', 'webhooks[0].url']),
  );
  expect(placesOf('notify: [{ on: [stuck], webhooks: [pager] }]')).toEqual(['notify: the webhook "pager"']);
  expect(placesOf('mail: { to: [a@dr.example] }')).toEqual(['MUSTER_MAIL_TO: recipients']);
  expect(placesOf('mail: { host: h.example, user: u, password: file:p, security: none }')).toEqual([
    'MUSTER_MAIL_SECURITY: a password that would go over the network in clear text',
  ]);
});
