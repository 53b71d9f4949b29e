/** What Muster starts sees none of the secrets that stand in Muster's own environment. */
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
