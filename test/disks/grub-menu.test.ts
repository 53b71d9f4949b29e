import { defaultRelease } from '../../disks/linux/grub-menu';

const entry = (id: string, release: string, indent = '') =>
  `${indent}menuentry 'Debian, ${release}' --class debian $menuentry_id_option 'gnulinux-${id}' {\n${indent}\tsearch --set=root x\n${indent}\tlinux\t/boot/vmlinuz-${release} root=UUID=1 ro\n${indent}}\n`;
const menu = (choice: string) =>
  `if [ "\${next_entry}" ] ; then\n   set default="\${next_entry}"\nelse\n   set default="${choice}"\nfi\n` +
  `function load_video {\n  insmod all\n}\n${entry('simple', '6.1')}` +
  `submenu 'Advanced' $menuentry_id_option 'gnulinux-advanced' {\n${entry('61', '6.1', '\t')}${entry('510', '5.10', '\t')}}\n`;

test.each([
  ['the first entry', '0', '', '6.1'],
  ['a number within a submenu', '1>1', '', '5.10'],
  ['ids', 'gnulinux-advanced>gnulinux-510', '', '5.10'],
  ['titles', 'Advanced>Debian, 5.10', '', '5.10'],
  ['a submenu alone, which starts its first', '1', '', '6.1'],
  [
    'the saved entry',
    '${saved_entry}',
    '# GRUB Environment Block\nsaved_entry=gnulinux-advanced>gnulinux-510\n',
    '5.10',
  ],
  ['no saved entry, which starts the first', '${saved_entry}', '', '6.1'],
  ['a choice for the next start', '0', 'next_entry=1>1\n', '5.10'],
  ['an entry that is not there', 'gone', '', null],
])('the kernel that starts by default is found by %s', (_what, choice, environment, release) => {
  expect(defaultRelease(menu(choice), environment)).toBe(release);
});

test('a menu of another kind says nothing', () => {
  expect(defaultRelease('blscfg\n', '')).toBeNull();
  expect(defaultRelease('', '')).toBeNull();
});
