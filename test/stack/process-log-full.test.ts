/** The log of a process on a disk that is full. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const program = `
  const { processLog } = require('./stack/process-log');
  const log = processLog('worker', 'info');
  log.info('lost');
  setTimeout(() => { log.info('lost, too'); setTimeout(() => { process.stderr.write('went on'); }, 100); }, 100);
`;

test('a log that cannot be written ends no process, and keeps none from its end', () => {
  const args = ['-c', 'exec "$0" --import tsx -e "$1" 2>&1 >/dev/full', process.execPath, program];
  const said = execFileSync('sh', args, { cwd: join(__dirname, '..', '..'), encoding: 'utf8', timeout: 60_000 });
  expect(said).toContain('went on');
});
