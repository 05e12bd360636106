// Fake timers see the waits of adapters and functions: those of jest and vitest (@sinonjs/fake-timers), and node:test's own.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import FakeTimers from '@sinonjs/fake-timers';
import { attemptsOf, retryFetch } from 'reknock';

const busy = async () => new Response('', { status: 503 });
const policy = { backoff: { base: '10s', jitter: 'none' }, maxRetries: 2, timeout: '10m' };

test('@sinonjs/fake-timers, as jest and vitest use them', async () => {
  const clock = FakeTimers.install();
  try {
    const call = retryFetch(busy, { policy })('http://h/');
    await clock.tickAsync(60_000);
    assert.deepEqual(attemptsOf(await call).attempts.map(({ waitMs }) => waitMs), [10_000, 20_000, null]);
  } finally {
    clock.uninstall();
  }
});

test('mock.timers of node:test', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    let sent = 0;
    const call = retryFetch(async () => (sent++, busy()), { policy })('http://h/');
    for (let turn = 0; turn < 100; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      mock.timers.tick(1000);
    }
    assert.equal((await call).status, 503);
    assert.equal(sent, 3);
  } finally {
    mock.timers.reset();
  }
});
