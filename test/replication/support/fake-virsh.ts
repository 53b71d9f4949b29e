/** A `virsh` that is a shell script, which programs of this process find before the real one. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface FakeVirsh {
  /** Of a file beside it, which its script may use. */
  at(name: string): string;
  /** What it does from now on, without its first line. */
  does(script: string): void;
}

/** A new one for each test of the file that calls it. */
export function fakeVirsh(): FakeVirsh {
  const path = process.env['PATH'];
  let folder: string;
  const at = (name: string) => join(folder, name);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'muster-virsh-'));
    process.env['PATH'] = `${folder}${delimiter}${path}`;
  });
  afterEach(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true, force: true });
  });
  const does = (script: string) => {
    writeFileSync(at('virsh'), `#!/bin/sh\n${script}`);
    chmodSync(at('virsh'), 0o755);
  };
  return { at, does };
}
