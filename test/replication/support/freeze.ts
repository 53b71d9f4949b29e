/** A worker that freezes a guest and never comes to thaw it: `node --import tsx freeze.ts URI MACHINE LIMIT_MS`. */
import { agent, whileFrozen } from '../../../replication/libvirt-freeze';
import { virshOn } from '../../../replication/virsh';

const [uri, machine, limitMs] = process.argv.slice(2) as [string, string, string];
const virsh = virshOn(uri);
const forEver = async () => {
  process.stdout.write(`${await agent<string>(virsh, machine, 'guest-fsfreeze-status')}\n`);
  await new Promise((resolve) => setTimeout(resolve, 3_600_000));
};
void whileFrozen(virsh, uri, machine, forEver, { limitMs: Number(limitMs) });
