/** A worker that holds a stopped machine for its last writes, for ever: `node --import tsx hold-still.ts URI UUID`. */
import { whileHeldStill } from '../../../replication/libvirt-stopped';
import { virshOn } from '../../../replication/virsh';

const [uri, uuid] = process.argv.slice(2) as [string, string];
void whileHeldStill({ uri, virsh: virshOn(uri), uuid, name: uuid }, async () => {
  process.stdout.write('held\n');
  await new Promise((resolve) => setTimeout(resolve, 600_000));
});
