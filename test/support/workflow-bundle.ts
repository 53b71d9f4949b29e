/** The workflows' bundle for tests that run workers: made once for each state of the code, kept between runs of jest. */
import { join } from 'node:path';
import { cacheFolder } from '../../stack/temporal-binary';
import { workflowBundle } from '../../worker/bundle';

/** For `Worker.create({ workflowBundle: await testWorkflowBundle(), … })`. */
export function testWorkflowBundle(): Promise<{ codePath: string }> {
  return workflowBundle(join(cacheFolder(), 'workflow-bundles'));
}
