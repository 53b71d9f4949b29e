/** What Muster starts sees none of the secrets that stand in Muster's own environment. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGuestfish } from '../../disks/guestfish';
import { readInitramfs } from '../../disks/linux/initramfs';
import { takeSecretVariables } from '../../programs/environment';
import { runProgram } from '../../programs/run';

test('a program gets the environment without secrets, and the worker keeps them in memory only', async () => {
  Object.assign(process.env, { MUSTER_SECRET_DISK: 'key', MUSTER_TOKEN: 'mst_x', MUSTER_OTHER: 'seen' });
  try {
    const { stdout } = await runProgram('env', []);
    expect(stdout).toContain('MUSTER_OTHER=seen');
    expect(stdout).not.toMatch(/MUSTER_SECRET_|MUSTER_TOKEN/);
    expect(takeSecretVariables()).toEqual({ MUSTER_SECRET_DISK: 'key' });
    expect(process.env['MUSTER_SECRET_DISK']).toBeUndefined();
    expect(takeSecretVariables()).toEqual({ MUSTER_SECRET_DISK: 'key' });
  } finally {
    for (const name of ['MUSTER_SECRET_DISK', 'MUSTER_TOKEN', 'MUSTER_OTHER']) delete process.env[name];
  }
});

test('programs that are talked to while they run, for a guest’s bytes, get no secrets either', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-environment-'));
  const path = process.env['PATH'];
  try {
    for (const name of ['guestfish', 'zstd']) {
      writeFileSync(join(folder, name), `#!/bin/sh\nenv > ${join(folder, name)}.env\nexit 3\n`);
      chmodSync(join(folder, name), 0o755);
    }
    Object.assign(process.env, { PATH: `${folder}:${path}`, MUSTER_TOKEN: 'mst_x', MUSTER_OTHER: 'seen' });
    const initrd = join(folder, 'initrd');
    writeFileSync(initrd, Buffer.from('28b52ffd00', 'hex'));
    await expect(readInitramfs(initrd, () => true)).rejects.toThrow('zstd ended with 3');
    await expect(startGuestfish({ temporaryFolder: folder }).ask('run')).rejects.toThrow('guestfish failed at run');
    for (const name of ['guestfish', 'zstd']) {
      const environment = readFileSync(join(folder, `${name}.env`), 'utf8');
      expect(environment).toContain('MUSTER_OTHER=seen');
      expect(environment).not.toContain('MUSTER_TOKEN');
    }
  } finally {
    process.env['PATH'] = path;
    for (const name of ['MUSTER_TOKEN', 'MUSTER_OTHER']) delete process.env[name];
    rmSync(folder, { recursive: true, force: true });
  }
});
