// msw sees what retryFetch sends by the global fetch, every attempt of it; a client of ours it does not see. In a process of its own: it patches globals.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';
import { attemptsOf, createClient, retryFetch } from 'reknock';

let asked = 0;
const server = setupServer(http.all('http://service.test/*', () => (++asked % 3 === 0 ? HttpResponse.json({ a: 1 }) : new HttpResponse(null, { status: 503 }))));
before(() => server.listen({ onUnhandledRequest: 'error' }));
after(() => server.close());

test('msw sees every attempt of retryFetch', async () => {
  // Made before or after msw patched the global one.
  const response = await retryFetch({ policy: { backoff: '1ms' } })('http://service.test/x');
  assert.deepEqual(await response.json(), { a: 1 });
  assert.equal(attemptsOf(response).attempts.length, 3);
  assert.equal(asked, 3);
});

test('msw does not see a client', async () => {
  asked = 0;
  await assert.rejects(createClient({ policy: false })('http://service.test/x'), { kind: 'connect' });
  assert.equal(asked, 0);
});
