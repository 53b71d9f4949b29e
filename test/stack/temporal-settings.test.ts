import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dynamicConfig } from '../../stack/temporal-server';

test('the embedded Temporal is given every limit that a cluster of one’s own is asked for', () => {
  const text = readFileSync(join(__dirname, '../../docs/operating.md'), 'utf8');
  const asked = [...text.matchAll(/^\| `((?:limit|history)\.[\w.]+)` \| (\d+) \|/gm)].map(([, key, value]) => [
    key,
    value,
  ]);
  expect(asked.map(([key]) => key)).toEqual(
    expect.arrayContaining(['limit.historyCount.error', 'history.maximumSignalsPerExecution']),
  );
  expect(Object.entries(dynamicConfig)).toEqual(expect.arrayContaining(asked));
});
