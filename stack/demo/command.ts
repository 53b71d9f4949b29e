/** `muster demo`: wired like the other commands of the stack, loaded when it runs. */
import { createRequire } from 'node:module';
import type { Command } from 'commander';
import { MusterError } from '../../model/errors';
import type * as ShopStory from './shop-story';
import type * as Story from './story';

const later: <T>(path: string) => T = createRequire(__filename);

function tell(options: { withoutInoculation?: boolean; runbook?: boolean }): Promise<number> {
  if (options.runbook === true) return later<typeof ShopStory>('./shop-story').tellShopStory();
  return later<typeof Story>('./story').tellStory({ inoculation: options.withoutInoculation !== true });
}

export function demoCommand(program: Command): void {
  program
    .command('demo')
    .description('recover a real server on this machine and tell the story (`npm run demo` sets everything up first)')
    .option('--without-inoculation', 'show the same server failing to boot, and how a person mends it')
    .option('--runbook', 'rehearse three servers of a shop by a runbook instead')
    .action(async (options: { withoutInoculation?: boolean; runbook?: boolean }) => {
      try {
        process.exitCode = await tell(options);
      } catch (error) {
        if (
          !(error instanceof MusterError) &&
          (error as Error).name !== 'CommandFailed' &&
          !('exitCode' in (error as object))
        )
          throw error;
        console.error(`muster: ${(error as Error).message}`);
        process.exitCode = (error as { exitCode?: number }).exitCode ?? 1;
      }
    });
}
