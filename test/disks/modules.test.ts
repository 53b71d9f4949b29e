import fc from 'fast-check';
import { loadList } from '../../disks/linux/append';
import { extendModules } from '../../disks/linux/initramfs-config';
import { compareReleases } from '../../disks/linux/kernels';
import { closureOf, moduleName, parseModuleIndex, parseSoftDependencies } from '../../disks/linux/modules';

const dep = [
  'kernel/drivers/scsi/scsi_common.ko:',
  'kernel/drivers/scsi/scsi_mod.ko.xz: kernel/drivers/scsi/scsi_common.ko',
  'kernel/drivers/scsi/vmw_pvscsi.ko: kernel/drivers/scsi/scsi_mod.ko.xz kernel/drivers/scsi/scsi_common.ko',
  'kernel/crypto/crc-t10dif.ko:',
  'kernel/drivers/scsi/sd_mod.ko: kernel/crypto/crc-t10dif.ko kernel/drivers/scsi/scsi_mod.ko.xz',
].join('\n');

test('what a module needs comes before it, each once', () => {
  const index = parseModuleIndex(dep, '');
  expect(closureOf(['vmw_pvscsi', 'sd_mod'], index)).toEqual({
    absent: [],
    paths: [
      'kernel/drivers/scsi/scsi_common.ko',
      'kernel/drivers/scsi/scsi_mod.ko.xz',
      'kernel/drivers/scsi/vmw_pvscsi.ko',
      'kernel/crypto/crc-t10dif.ko',
      'kernel/drivers/scsi/sd_mod.ko',
    ],
  });
});

test('a built-in module counts as there, and dashes and underscores are one', () => {
  const index = parseModuleIndex(dep, 'kernel/drivers/virtio/virtio-pci.ko\n');
  expect(closureOf(['virtio_pci', 'crc_t10dif'], index)).toEqual({
    absent: [],
    paths: ['kernel/crypto/crc-t10dif.ko'],
  });
});

test('a module that the kernel does not have is named', () => {
  expect(closureOf(['vmxnet3', 'sd_mod'], parseModuleIndex(dep, '')).absent).toEqual(['vmxnet3']);
});

test('soft dependencies come along when they exist', () => {
  const soft = parseSoftDependencies('# aliases\nsoftdep sd_mod pre: crc-t10dif nothing post: vmw_pvscsi\n');
  expect(closureOf(['sd_mod'], parseModuleIndex(dep, ''), soft).paths).toContain('kernel/drivers/scsi/vmw_pvscsi.ko');
});

test('paths that lead out of the folder or hold unusual characters are not taken from a guest', () => {
  const index = parseModuleIndex(
    '../../etc/shadow.ko:\nkernel/../../x.ko:\nkernel/a b.ko:\nkernel/$(id).ko:\nok.ko: ../y.ko\n',
    '',
  );
  expect([...index.paths.keys()]).toEqual(['ok']);
  expect(index.needs.get('ok')).toEqual([]);
});

test('any graph of dependencies, rings included, ends with every needed module once and after none of its own', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.array(name)), { maxLength: 8 }), fc.array(name), (edges, wanted) => {
      const lines = edges.map(([from, to]) => `k/${from}.ko: ${to.map((t) => `k/${t}.ko`).join(' ')}`);
      const { paths, absent } = closureOf(wanted, parseModuleIndex(lines.join('\n'), ''));
      expect(new Set(paths).size).toBe(paths.length);
      for (const one of wanted) expect(paths.map(moduleName).includes(one) || absent.includes(one)).toBe(true);
    }),
  );
});

test('the list of modules to load keeps its lines and options and is never extended twice', () => {
  const once = loadList('ahci\nloop max_loop=8\n\n', ['vmw_pvscsi', 'ahci']);
  expect(once).toBe('ahci\nloop max_loop=8\nvmw_pvscsi\n');
  expect(loadList(once, ['vmw_pvscsi', 'ahci'])).toBe(once);
});

test('names added to /etc/initramfs-tools/modules stand on lines of their own', () => {
  expect(extendModules('# comment\nahci', ['vmw_pvscsi', 'vmxnet3'])).toMatch(
    /^# comment\nahci\n# .*\nvmw_pvscsi\nvmxnet3\n$/,
  );
});

test('kernels are ordered by their numbers', () => {
  const releases = ['6.1.0-9-amd64', '6.1.0-50-amd64', '5.10.0-30-amd64', '6.10.3'];
  expect(releases.sort(compareReleases)).toEqual(['5.10.0-30-amd64', '6.1.0-9-amd64', '6.1.0-50-amd64', '6.10.3']);
});
