/** Which files somebody holds locked, as another program's fcntl(2) sees it: Python's. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const program = `
import fcntl, json, sys
held = []
for path in json.load(sys.stdin):
    with open(path, 'a') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(path)
json.dump(held, sys.stdout)
`;

export async function lockedFiles(paths: readonly string[]): Promise<string[]> {
  const asked = promisify(execFile)('python3', ['-c', program]);
  asked.child.stdin!.end(JSON.stringify(paths));
  return JSON.parse((await asked).stdout) as string[];
}
