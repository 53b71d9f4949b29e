import { serverProblems } from '../../model/server-problems';
import { storyServer } from '../support/order';

const [disk] = storyServer.disks;
const [nic] = storyServer.nics;

test('a machine as libvirt shows it has no problems', () => {
  expect(serverProblems(storyServer)).toEqual([]);
});

test.each([
  ['no disk', { disks: [] }, 'no disk'],
  ['a disk of size 0', { disks: [{ ...disk!, sizeBytes: 0 }] }, 'disk disk0: found 0 bytes, needed a whole number'],
  [
    'a disk of 2^63 bytes',
    { disks: [{ ...disk!, sizeBytes: 2 ** 63 }] },
    'disk disk0: found 9223372036854776000 bytes',
  ],
  ['a disk of one and a half sectors', { disks: [{ ...disk!, sizeBytes: 768 }] }, 'disk disk0: found 768 bytes'],
  ['a negative disk', { disks: [{ ...disk!, sizeBytes: -512 }] }, 'disk disk0: found -512 bytes'],
  ['two disks of one id', { disks: [disk!, { ...disk!, sourceDevice: 'sdx' }] }, 'disk disk0: found twice'],
  ['one device under two disks', { disks: [disk!, { ...disk!, id: 'disk9' }] }, 'device sda: found under two disks'],
  ['an id that is a path', { disks: [{ ...disk!, id: '../x' }] }, 'disk 0: found the id "../x"'],
  [
    'a malformed network address',
    { nics: [{ ...nic!, macAddress: '52-54-00' }] },
    'network card 0: found the address "52-54-00"',
  ],
  ['one address on two cards', { nics: [nic!, { ...nic!, index: 1 }] }, 'found on two cards'],
  ['no processors', { cpuCount: 0 }, 'found 0 processors'],
  ['memory that is no number', { memoryBytes: Number.NaN }, 'NaN bytes of memory'],
])('%s is named', (_what, change, words) => {
  expect(serverProblems({ ...storyServer, ...change }).join('; ')).toContain(words);
});
