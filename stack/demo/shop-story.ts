/**
 * `npm run demo -- --runbook`: a shop of three real servers is rehearsed by a runbook, beside the shop that goes on selling.
 * Nothing of it can reach anything else, and nothing of it is left.
 */
import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import pc from 'picocolors';
import type { ShopServer } from '../../tools/shop-guests/build.mjs';
import type { RunningStack } from '../start';
import { asJson, mustRun, showAndRun } from './muster';
import type { DemoPlace } from './place';
import { waitForPoints } from './points';
import { addShopServer, shopGuests, shopRunbook, shopServers, waitForShop } from './shop';
import { watchPlan } from './shop-decisions';
import { makeSourceNetwork, shopNetwork } from './source-network';
import { startSource } from './source-machine';
import { perform, sourcePlatform } from './stage';
import { chapter, heading, say, waitFor } from './telling';

const chapters = 5;
/** Three guests at once where it was measured: two shared cores, software emulation. */
const usualBootMs = 130_000;
const usualProtectMs = 60_000;

/** Returns the exit code: 0 when the shop was rehearsed and nothing is left, otherwise the watch's. */
export async function tellShopStory(): Promise<number> {
  const images = await shopGuests(say);
  return perform((place, stack) => tell(place, stack, images));
}

async function tell(
  place: DemoPlace,
  stack: RunningStack,
  images: Readonly<Record<ShopServer['name'], string>>,
): Promise<number> {
  const servers = await shopServers();

  chapter(1, chapters, 'A shop of three servers');
  await openShop(place, servers, images);

  chapter(2, chapters, 'Protect it');
  for (const server of servers) await protect(place, server);
  await waitFor(
    'First copies and two recovery points of each',
    usualProtectMs,
    waitForPoints(place, servers.length, 2),
  );
  await mustRun(place, ['replicas']);

  chapter(3, chapters, 'The runbook');
  say('Which servers, in which order, who is asked, and what is promised: runbooks/three-tier.yaml.');
  await mustRun(place, ['runbook', 'check', shopRunbook.file]);
  await mustRun(place, ['runbook', 'plan', shopRunbook.file, '--rehearsal']);
  await mustRun(place, ['runbook', 'import', shopRunbook.file]);

  chapter(4, chapters, 'Rehearse it');
  say('The same steps as on the day itself, in a network that leads nowhere. The shop goes on selling meanwhile.');
  const args = ['run', shopRunbook.name, '--mode', 'rehearsal', '--reason', 'the demo rehearses'];
  const { runId } = await asJson<{ runId: string }>(place, args);
  const code = await watchPlan(place, runId);

  chapter(5, chapters, 'The result');
  await mustRun(place, ['show', runId]);
  say(`The real shop, meanwhile: ${text(await waitForShop(sourcePlatform(place), 'shop-web'))}`);
  const report = join(place.configuration.dataFolder, 'report.html');
  await mustRun(place, ['report', runId, '--output', report]);
  // Verified by this rehearsal, and what would keep the shop from being recovered now: its exit code tells of that alone.
  await showAndRun(place, ['readiness', shopRunbook.name, '--now']);
  suggest(place, stack, report);
  return code;
}

async function openShop(
  place: DemoPlace,
  servers: readonly ShopServer[],
  images: Readonly<Record<ShopServer['name'], string>>,
): Promise<void> {
  const platform = sourcePlatform(place);
  const folder = join(place.configuration.dataFolder, 'production');
  await mkdir(folder, { recursive: true });
  await makeSourceNetwork(folder, shopNetwork);
  for (const { name } of servers)
    await startSource(folder, { name, imagePath: images[name], network: shopNetwork.name });
  say('A database, an application server that asks it, and a web server that asks the application server.');
  const open = await waitFor('The shop opens', usualBootMs, waitForShop(platform, 'shop-web'));
  say(`Its page says: ${text(open)}`);
}

/** Of the page, without its headings. */
const text = (page: string): string => page.replace(/\s+/g, ' ').replace(/^(Shop )+/, '');

async function protect(place: DemoPlace, { name }: ShopServer): Promise<void> {
  await mustRun(place, addShopServer(name));
  await mustRun(place, ['protect', name]);
}

function suggest(place: DemoPlace, stack: RunningStack, report: string): void {
  say(`Report: ${pc.bold(report)}`);
  heading('What to try next');
  say('docs/writing-a-runbook.md      one for your own servers, on this example');
  say('npm run demo                   the day itself: one server lost and recovered');
  say(`MUSTER_DATA_FOLDER=${place.configuration.dataFolder} MUSTER_TENANT_ID=demo npx muster up`);
  say(`    then, in another terminal: MUSTER_DATA_FOLDER=${place.configuration.dataFolder} npx muster runs`);
  say(`    (their records are kept), or ${stack.url}/api/v1/openapi.json`);
}
