import { defaultApiConfig } from '../../api/deps';
import { stickyTimeoutMs } from '../../workflows/messages';

test('a query is given up before Temporal would hand it from a lost worker to another one', () => {
  expect(defaultApiConfig.queryDeadlineMs).toBeLessThan(stickyTimeoutMs);
});
