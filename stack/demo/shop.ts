/** The three servers of the shop (tools/shop-guests), as the story meets them. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Platform } from '../../platforms/contract';
import type { ShopServer } from '../../tools/shop-guests/build.mjs';
import { answerOf } from './guest-answer';

/** An .mjs of the set-up, which runs before TypeScript can. */
const builder = () => import('../../tools/shop-guests/build.mjs');

export const shopServers = async (): Promise<readonly ShopServer[]> => (await builder()).shopServers;
export const shopGuests = async (progress: (line: string) => void) => (await builder()).shopGuests({ progress });

/** How the three are recovered and rehearsed. */
export const shopRunbook = {
  name: 'three-tier',
  file: join(__dirname, '..', '..', 'runbooks', 'three-tier.yaml'),
} as const;

/** Arguments of `muster` that put one of them under protection: what is added, and how. */
export function addShopServer(name: ShopServer['name']): string[] {
  const sites = ['--source-site', 'production', '--site', 'recovery'];
  return ['servers', 'add', name, ...sites, '--rpo', '1m', '--rto', '10m', '--point-every', '5s'];
}

/** What the shop says of itself, asked at one of its servers; ends when everything beneath that server answers, too. */
export async function waitForShop(platform: Platform, name: ShopServer['name']): Promise<string> {
  for (;;) {
    const answer = await answerOf(platform, name, '/usr/local/bin/shop', ['status']);
    if (answer !== undefined) return answer;
    await sleep(2_000);
  }
}
