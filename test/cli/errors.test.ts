/** What the command line says when something is wrong on this side of the API, or at its door. */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { notFound, problemDocument } from '../../api/problems';
import { createClient, problemOf } from '../../cli/client';
import { findConnection } from '../../cli/connection';
import { createOutput } from '../../cli/output';
import { readRunbookText } from '../../cli/runbook-file';
import { longestLine } from './muster';

const problem = (type: string, detail: string): string =>
  JSON.stringify({ type: `urn:muster:problem:${type}`, detail });

test.each(['mst_secret\nmst_second', 'mst_sec ret', 'mst_sécret'])(
  'a text that is no token is never shown: %j',
  (token) => {
    const find = () => findConnection('http://127.0.0.1:7070', { MUSTER_TOKEN: token });
    expect(find).toThrow(/MUSTER_TOKEN holds no token.*needed one word/s);
    expect(find).toThrow(
      expect.objectContaining({ problem: 'not-allowed', message: expect.not.stringMatching(/mst_/) }),
    );
  },
);

test('a token that is refused leads to another one, and a name that is unknown to the list of names', () => {
  const detail =
    'A valid token is needed: the token is unknown, expired or revoked. Send "Authorization: Bearer TOKEN"';
  const refused = problemOf(401, problem('unauthenticated', detail), 'http://api').message;
  expect(refused).toMatch(/unknown, expired or revoked\. .*MUSTER_TOKEN_FILE.*`muster token issue`/);
  expect(refused).not.toContain('Bearer');
  const missing = (what: string, near: string[] = []) =>
    problemOf(404, JSON.stringify(problemDocument(notFound(what, 'nope', near), 'request')), 'http://api').message;
  expect(missing('server')).toBe('There is no server "nope". `muster servers` lists them');
  expect(missing('runbook')).toBe('There is no runbook "nope". `muster runbook list` lists them');
  expect(missing('token')).toBe('There is no token "nope". `muster token list` lists them');
  expect(missing('schedule of runbook')).toContain('`muster schedule list`');
  expect(missing('evidence of this run')).toBe('There is no evidence of this run "nope"');
  expect(missing('server', ['note'])).toBe('There is no server "nope". Perhaps you meant note');
});

describe('an address where something else answers', () => {
  const asked = async (there: RequestListener | 'no HTTP' | 'nothing'): Promise<string> => {
    const speak = (socket: Socket): void => void socket.end('hello\r\n', () => socket.destroy());
    const server = typeof there === 'string' ? createTcpServer(speak) : createServer(there);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const closed = () => new Promise((resolve) => server.close(resolve));
    if (there === 'nothing') await closed();
    const answer = await createClient({ url, token: 'mst_x' })
      .get('/servers')
      .then(String, (error: Error) => error.message);
    await closed();
    return answer;
  };

  test('is told from one where nothing does', async () => {
    expect(await asked('no HTTP')).toMatch(/another program answers there/);
    expect(await asked((request) => request.socket.destroy())).toMatch(/another program answers there/);
    expect(await asked('nothing')).toMatch(/nothing listens there.*Start it \(`muster up`\)/);
  });
});

test('a file that cannot be read says why in words', async () => {
  await expect(readRunbookText('/nonexistent/shop.yaml')).rejects.toThrow(
    '/nonexistent/shop.yaml cannot be read: found no such file',
  );
  await expect(readRunbookText(tmpdir())).rejects.toThrow('found a folder');
});

test('on a terminal an error is broken between words, and stays one line for a program', () => {
  const written = (isTTY: boolean): string => {
    let text = '';
    const stream = { isTTY, columns: 80, write: (part: string) => (text += part) } as unknown as NodeJS.WriteStream;
    createOutput(false, stream, {}, stream).error(`muster: ${'several words that are long '.repeat(6)}`);
    return text.trimEnd();
  };
  expect(longestLine(written(true))).toBeLessThanOrEqual(80);
  expect(written(false)).not.toContain('\n');
});
