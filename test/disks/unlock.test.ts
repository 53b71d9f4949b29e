/** What keys are tried, and how often, with an appliance that answers as cryptsetup was seen to. */
import type { Guestfish } from '../../disks/guestfish';
import { openVolume } from '../../disks/linux/unlock';

const noHeader = 'cryptsetup_open: cryptsetup open exited with status 1: Device /dev/sdh is not a valid LUKS device.';
const noFit = 'cryptsetup_open: cryptsetup open exited with status 2: No key available with this passphrase.';

/** `answers`: in the order of the attempts; null is an open volume. */
function appliance(answers: readonly (string | null)[]) {
  const asked: string[] = [];
  const left = [...answers];
  const guest: Partial<Guestfish> = {
    openEncrypted: (_device, _name, key) => {
      asked.push(Buffer.from(key).toString());
      return Promise.resolve(left.shift()!);
    },
    attempt: (command) => {
      asked.push(command);
      return Promise.resolve({ output: '', error: null, detail: '' });
    },
  };
  const open = (...keys: string[]) =>
    openVolume(
      guest as Guestfish,
      '/dev/sdh',
      'opened',
      keys.map((key) => Buffer.from(key)),
    );
  return { asked, open };
}

test('a key that does not fit is tried once', async () => {
  const { asked, open } = appliance([noFit, noFit]);
  expect(await open('one', 'two')).toEqual({ locked: 'none of the 2 keys fits' });
  expect(asked).toEqual(['one', 'two']);
});

test('where something else was in the way a key is tried again when the devices have settled', async () => {
  const wrong = appliance([noFit, noHeader, noFit]);
  expect(await wrong.open('one', 'two')).toEqual({ locked: 'none of the 2 keys fits' });
  expect(wrong.asked).toEqual(['one', 'two', 'udev-settle', 'two']);
  const right = appliance([noHeader, null]);
  expect(await right.open('one')).toEqual({ device: '/dev/mapper/opened' });
});

test('what is in the way for good is said, and the other keys are tried all the same', async () => {
  const { asked, open } = appliance([noHeader, noHeader, noFit]);
  expect(await open('one', 'two')).toEqual({ locked: noHeader });
  expect(asked).toEqual(['one', 'udev-settle', 'one', 'two']);
});
