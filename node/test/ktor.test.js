'use strict';
// Ktor's functions in our words: one test for each row of the table in docs/dialects/ktor.md, which shows what stands here.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { createClient, Policy } = require('../index.js');
const { serve, status, HANG } = require('./support/server.js');
const { ROOT } = require('./support/vectors.js');

const EXAMPLE = path.join(ROOT, 'docs/dialects/examples/ktor.yaml');
const KTOR = Policy.load(EXAMPLE).merge({ maxRetries: 3, backoff: 'none' });
const RESET = { do: 'reset' };
const FAILURES = ['reset', 'tls', 'truncated-body', 'not per-try-timeout', 'not connect-timeout'];

const waits = (response) => response.attempts.map((attempt) => attempt.waitMs).filter((wait) => wait !== null);

/** How a call ends that these outcomes are made of: status or kind, and the number of attempts. */
async function ends(t, options, outcomes, call = {}) {
  const { url } = await serve(t, ...outcomes);
  const client = createClient({ policy: KTOR, ...options });
  const ended = await client.post(url, call).catch((error) => error);
  return [ended instanceof Error ? ended.kind : ended.status, ended.attempts.length];
}

test('install', async (t) => {
  const policy = Policy.load(EXAMPLE).merge({ backoff: 'none' });
  assert.deepEqual(await ends(t, { policy }, [status(500)]), [500, 6]);
});

test('max_retries', async (t) => {
  const policy = KTOR.merge({ maxRetries: 5 });
  assert.deepEqual(await ends(t, { policy }, [status(500)]), [500, 6]);
});

test('retry_on_server_errors', async (t) => {
  const policy = KTOR.merge({ retryOn: 'none', statuses: ['500-599'] });
  assert.deepEqual(await ends(t, { policy }, [status(500), status(599), status(429)]), [429, 3]);
  assert.deepEqual(await ends(t, { policy }, [RESET, status(200)]), ['reset', 1]);
});

test('retry_on_exception', async (t) => {
  const policy = KTOR.merge({ retryOn: FAILURES, statuses: 'none' });
  assert.deepEqual(await ends(t, { policy }, [RESET, status(500)]), [500, 2]);
  assert.deepEqual(await ends(t, { policy: policy.merge({ perTryTimeout: '300ms' }) }, [HANG]), ['per_try_timeout', 1]);
});

test('retry_on_timeout', async (t) => {
  const policy = KTOR.merge({ retryOn: ['reset', 'tls', 'truncated-body'], perTryTimeout: '1s' });
  assert.deepEqual(await ends(t, { policy }, [HANG, status(200)]), [200, 2]);
});

test('retry_on_exception_or_server_errors', async (t) => {
  const policy = KTOR.merge({ retryOn: FAILURES, statuses: ['500-599'] });
  assert.deepEqual(await ends(t, { policy }, [RESET, status(503), status(200)]), [200, 3]);
});

test('no_retry', async (t) => {
  assert.deepEqual(await ends(t, {}, [status(500)], { policy: false }), [500, 1]);
});

test('retry_if', async (t) => {
  const retryIf = (attempt) => (attempt.status === null ? undefined : attempt.status === 404 || 'stop');
  assert.deepEqual(await ends(t, { retryIf }, [status(404), status(500), status(200)]), [500, 2]);
  assert.deepEqual(await ends(t, { retryIf }, [RESET, status(200)]), [200, 2], 'failures are as the policy has them');
});

test('retry_on_exception_if', async (t) => {
  const retryIf = (attempt) => (attempt.error === null ? undefined : attempt.error === 'connect' || 'stop');
  assert.deepEqual(await ends(t, { retryIf }, [{ do: 'refused' }]), ['connect', 4]);
  assert.deepEqual(await ends(t, { retryIf }, [status(500), RESET]), ['reset', 2]);
});

test('delay_millis', async (t) => {
  const client = createClient({ policy: KTOR, delay: (attempt) => 2 * attempt.number });
  const response = await client.post((await serve(t, status(500))).url);
  assert.deepEqual(waits(response), [2, 4, 6]);
});

test('constant_delay', async (t) => {
  const policy = KTOR.merge({ backoff: { kind: 'constant', delay: '12ms', jitter: { extra: '5ms' } } });
  const seen = waits(await createClient({ policy }).post((await serve(t, status(500))).url));
  assert.ok(seen.length === 3 && seen.every((wait) => wait >= 12 && wait < 17), `${seen}`);
});

test('exponential_delay', async (t) => {
  const policy = KTOR.merge({ backoff: { base: '10ms', factor: 2, max: '30ms', jitter: 'none' } });
  assert.deepEqual(waits(await createClient({ policy }).post((await serve(t, status(500))).url)), [10, 20, 30]);
});

test('respect_retry_after_header', async (t) => {
  const asks = status(503, '', { headers: [['retry-after', '0.02']] });
  assert.deepEqual(waits(await createClient({ policy: KTOR }).post((await serve(t, asks)).url)), [20, 20, 20]);
  const policy = KTOR.merge({ retryAfter: 'none' });
  assert.deepEqual(waits(await createClient({ policy }).post((await serve(t, asks)).url)), [0, 0, 0]);
});

test('modify_request', async (t) => {
  const script = await serve(t, status(500), status(500), status(503), status(200));
  const beforeRetry = (attempt, request) => request.headers.append('x-retry', attempt.number);
  await createClient({ policy: KTOR, beforeRetry }).post(script.url);
  const seen = (await script.log()).map((arrival) => arrival.headers.filter(([name]) => name === 'x-retry').map(([, value]) => value));
  assert.deepEqual(seen, [[], ['1'], ['2'], ['3']], 'edits do not accumulate');
});

test('delay', async (t) => {
  const policy = KTOR.merge({ backoff: '10m' }).merge({ backoff: 'none' });
  assert.deepEqual(waits(await createClient({ policy }).post((await serve(t, status(500), status(200))).url)), [0]);
});

test('retry', async (t) => {
  const own = KTOR.merge({ maxRetries: 4, backoff: '12ms' });
  const { url } = await serve(t, RESET, status(500), RESET, status(500), status(200));
  const response = await createClient({ policy: KTOR.merge({ maxRetries: 0 }) }).post(url, { policy: own });
  assert.deepEqual([response.status, waits(response)], [200, [12, 12, 12, 12]]);
});

test('event', async (t) => {
  const events = [];
  await ends(t, { onEvent: (event) => events.push(event) }, [RESET, status(500), status(200)]);
  const retries = events.filter((event) => event.kind === 'retry').map(({ attempt }) => [attempt.number, attempt.error, attempt.status]);
  assert.deepEqual(retries, [[1, 'reset', null], [2, null, 500]]);
});

test('http_timeout', async (t) => {
  assert.deepEqual(await ends(t, { policy: KTOR.merge({ perTryTimeout: '300ms' }) }, [HANG]), ['per_try_timeout', 1]);
  assert.deepEqual(await ends(t, { policy: KTOR.merge({ timeout: '300ms' }) }, [HANG]), ['deadline', 1]);
});
