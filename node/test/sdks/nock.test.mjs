// nock likewise. In a process of its own: it patches globals.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import nock from 'nock';
import { attemptsOf, createClient, retryFetch, retrying } from 'reknock';

test('nock sees every attempt of retryFetch and of functions, and no client', async () => {
  nock.disableNetConnect();
  nock('http://service.test').get('/x').reply(503).get('/x').replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' })).get('/x').reply(200, { a: 1 });
  const response = await retryFetch({ policy: { backoff: '1ms' } })('http://service.test/x');
  assert.deepEqual(await response.json(), { a: 1 });
  assert.deepEqual(attemptsOf(response).attempts.map(({ status, error }) => status ?? error), [503, 'reset', 200]);
  nock('http://service.test').get('/y').reply(503).get('/y').reply(200, 'y');
  const read = retrying(() => fetch('http://service.test/y'), { policy: { backoff: '1ms' }, idempotent: true });
  assert.equal(await (await read()).text(), 'y');
  assert.ok(nock.isDone());
  await assert.rejects(createClient({ policy: false })('http://service.test/x'), { kind: 'connect' });
});
