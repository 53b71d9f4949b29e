/** The three servers of the shop (tools/shop-guests), as the story meets them. */
import { join } from 'node:path';
import type { Platform } from '../../platforms/contract';
import type { ShopServer } from '../../tools/shop-guests/build.mjs';
import { answerOf, untilAnswered } from './guest-answer';

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
  // As the runbook has it: what the web server needs comes first.
  const objectives = name === 'shop-web' ? ['--tier', '2', '--rto', '20m'] : ['--tier', '1', '--rto', '10m'];
  return ['servers', 'add', name, ...sites, ...objectives, '--rpo', '1m', '--point-every', '5s'];
}

/** What the shop says of itself, asked at one of its servers; ends when everything beneath that server answers, too. */
export function waitForShop(platform: Platform, name: ShopServer['name']): Promise<string> {
  return untilAnswered(name, () => answerOf(platform, name, '/usr/local/bin/shop', ['status']));
}
