// msw 3, which patches globals: a process of its own, run by runtimes.test.js.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';
import { attemptsOf, createClient, retryFetch } from '../../index.mjs';

let asked = 0;
const server = setupServer(http.all('http://service.test/*', () => (++asked % 3 === 0 ? HttpResponse.json({ a: 1 }) : new HttpResponse(null, { status: 503 }))));
before(() => server.listen({ onUnhandledRequest: 'error' }));
after(() => server.close());

test('msw 3 sees every attempt of retryFetch, and none of a client', async () => {
  const response = await retryFetch({ policy: { backoff: '1ms' } })('http://service.test/x');
  assert.deepEqual([await response.json(), attemptsOf(response).attempts.length, asked], [{ a: 1 }, 3, 3]);
  await assert.rejects(createClient({ policy: false })('http://service.test/x'), { kind: 'connect' });
  assert.equal(asked, 3);
});
