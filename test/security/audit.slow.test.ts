/** Licences and advisories of what npm brings, on the real lock file; and that the check would say so. */
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

jest.setTimeout(300_000);

const root = join(__dirname, '../..');
let server: Server | undefined;

afterEach(() => server?.close());

function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['tools/audit.mjs', ...args], { cwd: root });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((done) => child.once('close', (code) => done({ code, output })));
}

/** A registry that answers every question about advisories in one way; npm also asks for packages that need the bad one. */
async function registry(status: number, body: object): Promise<string> {
  server = createServer((request, response) => {
    const name = decodeURIComponent(request.url!.slice(1));
    const versions = { name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { name, version: '1.0.0' } } };
    request.resume();
    request.on('end', () => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(request.method === 'GET' ? versions : body));
    });
  });
  await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('the packages that Muster runs on have allowed licences and no grave advisory', async () => {
  const { code, output } = await run();
  expect(output).toMatch(/\d{3} packages: licences are as allowed/);
  expect(code).toBe(0);
});

test('a grave advisory fails, and names the package', async () => {
  const advisory = { id: 1, url: 'http://127.0.0.1/1', title: 'bad', severity: 'critical', vulnerable_versions: '*' };
  const { code, output } = await run('--registry', await registry(200, { hono: [advisory] }));
  expect(output).toContain('advisory: hono: critical');
  expect(code).toBe(1);
});

test('a registry without advisories is said to be one, not taken for a clean bill', async () => {
  const { output } = await run('--registry', await registry(405, {}));
  expect(output).toContain('advisories were not checked');
  expect(output).not.toContain('no grave advisory');
});

test('a package with another licence, or none, is named', async () => {
  const { strangers } = await import('../../tools/audit.mjs');
  const packages = {
    '': {},
    'node_modules/fine': { license: 'MIT' },
    'node_modules/copyleft': { license: 'AGPL-3.0' },
    'node_modules/a/node_modules/nothing': {},
  };
  expect(strangers({ packages }, () => undefined)).toEqual(['copyleft: AGPL-3.0', 'nothing: no licence']);
});
