import { diagnose } from '../../activities/diagnosis';

// Lines as they stood on real consoles (docs/proof.md).
test.each([
  [
    'ALERT!  UUID=9f0c3b0e-5d34-4b8e-9bb6-0a5cb4e5b1c2 does not exist.  Dropping to a shell!',
    /driver of the new disk controller is missing/,
  ],
  [
    '[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
    /cannot mount the root file system/,
  ],
  [
    "[    0.056000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug and send a report.",
    /timer stand still/,
  ],
  ['Booting from Hard Disk...\nNo bootable device.\n', /no bootable disk/],
  ['error: no such device: 3f0d9f1e.\nEntering rescue mode...\ngrub rescue>', /boot loader/],
  ['You are in emergency mode. After logging in, type "journalctl -xb"', /fstab/],
])('%j names its cause', (text, cause) => {
  expect(diagnose(`earlier lines\n${text}`)?.cause).toMatch(cause);
});

test('the line of the console is quoted, shortened', () => {
  expect(diagnose(`a\nALERT!  UUID=x does not exist. ${'y'.repeat(500)}\nb`)?.line).toHaveLength(200);
});

test('a console that says nothing known gives no diagnosis rather than a guess', () => {
  expect(diagnose('Debian GNU/Linux 12 app01 ttyS0\n\napp01 login: ')).toBeUndefined();
});
