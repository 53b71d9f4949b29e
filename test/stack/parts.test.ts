/** What the processes of a stack are given of the secrets in the environment. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfiguration } from '../../config/load';
import { dataFolderAt, openDataFolder } from '../../stack/data-folder';
import { apiPart } from '../../stack/parts';
import { freePort } from '../../stack/ports';

/** Answers every question with its environment. */
const teller = `require('node:http').createServer((_, answer) => answer.end(JSON.stringify(process.env)))
  .listen(Number(process.env.MUSTER_API_PORT), '127.0.0.1')`;

test('the API gets the secrets that its configuration names for mails and webhooks, and no other', async () => {
  const root = await mkdtemp(join(tmpdir(), 'muster-parts-'));
  try {
    const file = join(root, 'muster.yaml');
    const chat = '{ name: chat, url: https://chat.example/hook, secret: environment:MUSTER_SECRET_CHAT }';
    await writeFile(file, `mail: { host: smtp.example, user: muster, from: m@dr.example }\nwebhooks: [${chat}]\n`);
    const port = await freePort();
    const secrets = { MUSTER_SECRET_SMTP: 'smtp', MUSTER_SECRET_CHAT: 'chat', MUSTER_SECRET_DISK: 'disk' };
    const env = {
      ...{ MUSTER_CONFIG: file, MUSTER_DATA_FOLDER: root, MUSTER_API_PORT: String(port), MUSTER_TOKEN: 'mst_x' },
      ...{ MUSTER_MAIL_PASSWORD: 'environment:MUSTER_SECRET_SMTP', ...secrets },
    };
    await openDataFolder(root);
    const context = { configuration: loadConfiguration(env), folder: dataFolderAt(root), env };
    const api = apiPart({ ...context, ownProcess: () => [process.execPath, '-e', teller] });
    const part = await api.start(AbortSignal.timeout(20_000));
    const given = (await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.json())) as NodeJS.ProcessEnv;
    await api.end(part);
    expect(given).toMatchObject({ MUSTER_SECRET_SMTP: 'smtp', MUSTER_SECRET_CHAT: 'chat' });
    expect(Object.keys(given)).not.toEqual(expect.arrayContaining(['MUSTER_SECRET_DISK']));
    expect(given['MUSTER_TOKEN']).toBeUndefined();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
