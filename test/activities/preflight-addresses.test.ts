/** What the preflight says of new addresses, before anything is touched. */
import { checkAddresses } from '../../activities/preflight-addresses';
import { createDiskEditor } from '../../disks/editor';
import type { RecoveryOrder } from '../../model/order';
import { hardwareProfiles, type OperatingSystem } from '../../model/server';
import { makeOrder, storyServer } from '../support/order';

const disks = createDiskEditor({ scratchFolder: '/nowhere' });
const settings = { ip: '10.8.0.12/24', gateway: '10.8.0.1', dns: [] };

const said = (changes: Partial<RecoveryOrder> = {}) =>
  checkAddresses(makeOrder({ addresses: [{ nic: 0, address: { recovery: settings } }], ...changes }), { disks }).map(
    ({ name, ok, found, needed }) => `${name}: ${ok ? 'fit' : 'UNFIT'}, ${found}; ${needed}`,
  );
const running = (os: OperatingSystem): Partial<RecoveryOrder> => ({ server: { ...storyServer, os } });

test('a Linux that is inoculated may have other addresses; without one for this mode nothing is asked', () => {
  expect(said()).toEqual([
    'cards with new addresses: fit, cards 0; cards of the server, counted from 0',
    're-addressing: fit, a Linux that is inoculated; an inoculated Linux (docs/re-addressing.md)',
  ]);
  expect(said({ mode: 'rehearsal' })).toEqual([]);
});

test.each<[string, Partial<RecoveryOrder>, RegExp]>([
  [
    'a Windows',
    running({ family: 'windows', prettyName: 'Windows Server 2022' }),
    /^re-addressing: UNFIT, Windows Server 2022: only Linux is re-addressed;/,
  ],
  ['a system that is not known', running({ family: 'unknown' }), /^re-addressing: UNFIT, unknown: only Linux/],
  ['no inoculation', { inoculate: false }, /^re-addressing: UNFIT, the order says without inoculation/],
  [
    'a system that virt-v2v converts',
    {
      ...running({ family: 'linux', distribution: 'rocky', version: '9' }),
      target: { ...makeOrder().target, hardware: hardwareProfiles['kvm-virtio']! },
    },
    /^re-addressing: UNFIT, virt-v2v-in-place sets no addresses/,
  ],
  [
    'a card that is not there',
    { addresses: [{ nic: 3, address: { recovery: settings } }] },
    /^cards with new addresses: UNFIT, no card 3;/,
  ],
])('%s is refused', (_what, changes, words) => {
  expect(said(changes)).toContainEqual(expect.stringMatching(words));
});
