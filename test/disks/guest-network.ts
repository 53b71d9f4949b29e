/** What a booted guest says of its own network, by its own programs; nothing of Muster's reads it. */
import type { GuestMachine } from './guest-machine';

export interface SeenNetwork {
  /** `ens18 10.8.0.12/24`, in order; loopback and link-local ones left out. */
  readonly addresses: readonly string[];
  /** Gateways of default routes. */
  readonly gateways: readonly string[];
  readonly nameServers: readonly string[];
  /** Everything that was read: addresses, routes and name servers. */
  readonly whole: string;
}

/** Waits until the guest has this address, then reads all of them. */
export async function networkOf(machine: GuestMachine, address: string): Promise<SeenNetwork> {
  const ip = (...args: string[]) => machine.run('/usr/sbin/ip', args);
  const there = async () => ((await ip('-o', 'addr')).includes(` ${address} `) ? true : undefined);
  await machine.until(`the address ${address}`, there, 180_000);
  const resolver = await machine.run('/usr/bin/cat', ['/etc/resolv.conf']);
  const [addresses, routes] = [await ip('-o', 'addr'), await ip('route', 'show', 'table', 'all')];
  const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, ...found]) => found.join(' '));
  return {
    addresses: matches(addresses, /^\d+: (\S+) +inet6? (?!127\.|::1\/|fe80:)(\S+)/gm).sort(),
    gateways: matches(routes, /^default via (\S+)/gm),
    nameServers: matches(resolver, /^nameserver (\S+)/gm),
    whole: `${addresses}${routes}${resolver}`,
  };
}
