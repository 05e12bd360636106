'use strict';
// Retries for people who keep what sends: their fetch, their functions, their SDK.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { attemptsOf, Budgets, createClient, currentAttempt, Policy, ReknockError, retryFetch, retrying } = require('../index.js');
const { retryStrategy } = require('reknock/aws');
const { noWait, Script } = require('reknock/testing');
const { FAST, serve, status, DONE, HANG, NO } = require('./support/server.js');

const MANY = { ...FAST, maxRetries: 3 };

test('retryFetch sends by the fetch it is given, or by the global one of the moment', async (t) => {
  const { url } = await serve(t, NO, DONE);
  const fetch = retryFetch({ policy: FAST });
  const response = await fetch(url);
  assert.ok(response instanceof Response);
  assert.equal(await response.text(), 'done');
  const { attempts, stopReason, explain } = attemptsOf(response);
  assert.deepEqual([attempts.map((attempt) => attempt.status), stopReason], [[503, 200], 'completed']);
  assert.match(explain(), /#2 200/);
  assert.equal(attemptsOf(response), attemptsOf(response));
  const before = globalThis.fetch;
  const seen = [];
  globalThis.fetch = async (input, init) => (seen.push([input, init.next]), new Response('mine'));
  try {
    assert.equal(await (await fetch(url, { next: { tags: ['a'] } })).text(), 'mine');
  } finally {
    globalThis.fetch = before;
  }
  assert.deepEqual(seen, [[url, { tags: ['a'] }]]);
});

test('callbacks, events and timelines say whose call it is', async (t) => {
  const { url } = await serve(t, NO, DONE);
  const seen = [];
  const options = { policy: FAST, name: 'orders.get', retryIf: ({ call }) => void seen.push(call), onEvent: ({ call }) => seen.push(call) };
  const response = await retryFetch(options)(`${url}/orders?token=s3cret`);
  assert.equal(new Set(seen.map(({ callId }) => callId)).size, 1);
  assert.ok(attemptsOf(response).explain().startsWith(`GET ${url}/orders?token=... (orders.get, call ${seen[0].callId})\n`), attemptsOf(response).explain());
  const read = retrying(async function read() { throw new TypeError('no'); }, { policy: FAST });
  const error = await read().catch((caught) => caught);
  assert.match(attemptsOf(error).explain(), /^read \(call \d+\)\n/);
});

test('the last response and the original error are theirs, untouched', async () => {
  const responses = [];
  const error = new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) });
  const fetch = retryFetch(async () => (responses.push(new Response('no', { status: 503 })), responses.at(-1)), { policy: FAST });
  assert.equal(await fetch('http://h/'), responses[2]);
  assert.equal(responses[2].bodyUsed, false);
  assert.equal(attemptsOf(responses[2]).stopReason, 'retries_exhausted');
  const failing = retryFetch(async () => Promise.reject(error), { policy: FAST });
  await assert.rejects(failing('http://h/', { method: 'POST' }), (caught) => caught === error);
  assert.deepEqual(attemptsOf(error).attempts.map(({ error: kind, evidence }) => [kind, evidence]), Array(3).fill(['connect', 'not_sent']));
  assert.equal(attemptsOf({}), undefined);
  assert.equal(attemptsOf(null), undefined);
});

test('bodies: what can be passed on again is, with all of the init', async (t) => {
  const form = new FormData();
  form.append('a', 'b');
  for (const [body, again] of [
    ['text', true], [Buffer.from('bytes'), true], [new ArrayBuffer(3), true], [new URLSearchParams('a=1'), true], [new Blob(['x']), true], [form, true],
    [new Blob(['once']).stream(), false],
  ]) {
    const script = await serve(t, NO, DONE);
    const response = await retryFetch({ policy: { ...FAST, methods: 'any' } })(script.url, { method: 'POST', body, duplex: 'half' });
    assert.equal(response.status, again ? 200 : 503);
    if (!again) assert.equal(attemptsOf(response).stopReason, 'body_not_replayable');
    const log = await script.log();
    if (again) assert.equal(log[0].body_size, log[1].body_size);
  }
});

test('a Request is sent again if its body was text or bytes', async (t) => {
  const script = await serve(t, NO, DONE);
  const fetch = retryFetch({ policy: { ...FAST, methods: 'any' } });
  const request = new Request(script.url, { method: 'POST', body: 'text', headers: { 'x-a': '1' } });
  assert.equal((await fetch(request)).status, 200);
  const log = await script.log();
  assert.deepEqual(log.map(({ method, body_size: size, headers }) => [method, size, headers.find(([name]) => name === 'x-a')[1]]), Array(2).fill(['POST', 4, '1']));
  await assert.rejects(fetch(request), TypeError);
  assert.equal((await fetch(new Request(script.url))).status, 200);
});

test('a signal ends the call in any state, with its reason', async (t) => {
  const { url } = await serve(t, HANG);
  const fetch = retryFetch({ policy: { backoff: '10m', timeout: 'none' } });
  await assert.rejects(fetch(url, { signal: AbortSignal.abort('before') }), (reason) => reason === 'before');
  const control = new AbortController();
  const call = fetch(url, { signal: control.signal });
  setImmediate(() => control.abort('during'));
  await assert.rejects(call, (reason) => reason === 'during');
  const waiting = new AbortController();
  const no = await serve(t, NO);
  const wait = fetch(no.url, { signal: waiting.signal });
  await no.until((log) => log.length === 1);
  waiting.abort('waiting');
  await assert.rejects(wait, (reason) => reason === 'waiting');
  // Also where their fetch does not listen.
  const deaf = new AbortController();
  const hangs = retryFetch(() => new Promise(() => {}))('http://h/', { signal: deaf.signal });
  deaf.abort('deaf');
  await assert.rejects(hangs, (reason) => reason === 'deaf');
});

test('limits hold, whatever their fetch does', async () => {
  const hangs = () => new Promise(() => {});
  const deadline = await retryFetch(hangs, { policy: { timeout: '50ms' } })('http://h/').catch((error) => error);
  assert.deepEqual([deadline.constructor, deadline.kind, attemptsOf(deadline).stopReason], [TypeError, 'deadline', 'deadline']);
  const perTry = await retryFetch(hangs, { policy: { ...FAST, perTryTimeout: '20ms' } })('http://h/').catch((error) => error);
  assert.deepEqual([perTry.kind, attemptsOf(perTry).attempts.length], ['per_try_timeout', 3]);
});

test('what a call says goes before what the adapter was told', async (t) => {
  const { url } = await serve(t, NO);
  const fetch = retryFetch({ policy: MANY });
  for (const [reknock, attempts] of [[undefined, 4], [{ policy: false }, 1], [{ policy: { maxRetries: 1 } }, 2], [{ retryIf: () => 'stop' }, 1]]) {
    assert.equal(attemptsOf(await fetch(url, { reknock })).attempts.length, attempts);
  }
  await assert.rejects(fetch(url, { reknock: { maxRetries: 1 } }), /^TypeError: init.reknock: maxRetries: no such option; there are policy, budgets/);
  assert.throws(() => retryFetch({ maxRetries: 3 }), /^TypeError: retryFetch: maxRetries: no such option/);
  assert.throws(() => retryFetch('fetch'), TypeError);
  assert.throws(() => retryFetch({ retryIf: 'yes' }), TypeError);
  assert.throws(() => retryFetch({ policy: 'nobody' }), { kind: 'config' });
});

test('callbacks and events', async (t) => {
  const { url } = await serve(t, status(404), NO, DONE);
  const seen = [];
  const fetch = retryFetch({
    policy: MANY, name: 'mine',
    retryIf: async (attempt) => (seen.push([attempt.number, attempt.status, attempt.verdict, attempt.result.status]), attempt.status === 404),
    delay: () => 5,
    onEvent: ({ kind, call, text }) => seen.push([kind, call.name, text]),
  });
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.deepEqual(seen.filter(([first]) => typeof first === 'number'), [[1, 404, false, 404], [2, 503, true, 503], [3, 200, false, 200]]);
  assert.deepEqual(seen.filter(([first]) => typeof first === 'string').map(([kind, name, text]) => [kind, name, text.split(': ')[0]]), ['retry', 'retry', 'end'].map((kind) => [kind, 'mine', `GET ${url}/`]));
  assert.deepEqual(attemptsOf(response).attempts.map(({ waitMs }) => waitMs), [5, 5, null]);
});

test('one purse for fetches, functions and clients', async (t) => {
  const { url } = await serve(t, NO);
  const budgets = new Budgets();
  const policy = { backoff: 'none', maxRetries: 3, budget: { ratio: 0, minPerSecond: 0 } };
  const client = createClient({ policy, budgets });
  const ways = [retryFetch({ policy, budgets }), client, retrying(() => fetch(url), { policy, budgets, idempotent: true, origin: url })];
  for (const way of ways) {
    assert.equal(attemptsOf(await way(url)).stopReason, 'budget_exhausted');
  }
  assert.equal(budgets.reading(new Policy(policy), url).refusals, 3);
});

test('a call whose first hop was served is not repeated, though the next one could not be reached', async (t) => {
  const elsewhere = await serve(t, { do: 'refused' });
  for (const send of [createClient({}), createClient({}).request]) {
    const script = await serve(t, { do: 'status', status: 303, headers: [['location', elsewhere.url]] });
    await assert.rejects(retrying(() => send(script.url, { method: 'POST' }), { policy: FAST })(), { kind: 'connect' });
    assert.equal((await script.log()).length, 1);
  }
});

test('what refuses after a redirect says nothing of what was redirected', async (t) => {
  const elsewhere = await serve(t, status(429));
  const client = createClient({});
  for (const send of [client, client.request, retryFetch({ policy: FAST })]) {
    const script = await serve(t, { do: 'status', status: 303, headers: [['location', elsewhere.url]] });
    const response = await retrying(() => send(script.url, { method: 'POST' }), { policy: FAST })();
    assert.deepEqual([response.status ?? response.statusCode, (await script.log()).length], [429, 1]);
  }
});

test('an inner loop within an attempt of an outer one makes one attempt, and says so', async (t) => {
  const { url } = await serve(t, NO);
  const inner = retryFetch({ policy: MANY });
  const client = createClient({ policy: MANY });
  for (const call of [inner, client, client.request, client.get]) {
    const reasons = [];
    const outer = retrying(async () => {
      const response = await call(url);
      reasons.push((attemptsOf(response) ?? response).stopReason);
      return response;
    }, { policy: FAST, idempotent: true });
    await outer();
    assert.deepEqual(reasons, ['nested', 'nested', 'nested']);
    const allowed = retrying(async () => attemptsOf(await call(url, { nesting: 'allow', reknock: { nesting: 'allow' } })), { policy: false });
    assert.equal((await allowed()).attempts.length, 4);
  }
  // Not in what outlives the attempt, nor in callbacks.
  let later;
  await retrying(async () => void (later = new Promise((resolve) => setTimeout(resolve, 20)).then(() => client(url))), {})();
  assert.equal((await later).stopReason, 'retries_exhausted');
  let asked;
  await retryFetch({ policy: FAST, retryIf: async () => void (asked = (await client(url)).stopReason) })(url);
  assert.equal(asked, 'retries_exhausted');
  // The core says what the option may be, wherever it is given.
  const wrong = { kind: 'config', message: 'nesting: must be stop (one attempt within an attempt of another loop) or allow, got "both"' };
  for (const make of [createClient, retryFetch, (options) => retrying(() => 1, options)]) assert.throws(() => make({ nesting: 'both' }), wrong);
  await assert.rejects(client.request(url, { nesting: 'both' }), wrong);
  await assert.rejects(inner(url, { reknock: { nesting: 'both' } }), wrong);
});

test('any function: known failures, what is named, what it returns', async () => {
  let calls = 0;
  const failing = (error, times = Infinity) => async (...args) => {
    calls++;
    if (calls <= times) throw error;
    return args;
  };
  const reset = () => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  for (const [error, options, expected] of [
    [reset(), { idempotent: true }, 3],
    [reset(), {}, 1],
    [Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), {}, 3],
    [Object.assign(new Error('busy'), { status: 503 }), { idempotent: true }, 3],
    [Object.assign(new Error('busy'), { response: { status: 429 } }), {}, 3],
    [new RangeError('mine'), { idempotent: true }, 1],
    [new RangeError('mine'), { idempotent: true, on: RangeError }, 3],
    [new RangeError('mine'), { idempotent: true, on: [TypeError, (caught) => caught.message === 'mine'] }, 3],
  ]) {
    calls = 0;
    await assert.rejects(retrying(failing(error), { policy: FAST, ...options })(), (caught) => caught === error);
    assert.equal(calls, expected, `${error} ${Object.keys(options)}`);
    assert.equal(attemptsOf(error).attempts.length, expected);
  }
  calls = 0;
  assert.deepEqual(await retrying(failing(reset(), 2), { policy: FAST, idempotent: true })('a', 1), ['a', 1]);
  calls = 0;
  const empty = retrying(async () => (++calls < 3 ? [] : [1]), { policy: FAST, idempotent: true, result: (list) => list.length === 0 });
  assert.deepEqual(await empty(), [1]);
  const object = { value: 7, read: retrying(async function () { return this.value; }) };
  assert.equal(await object.read(), 7);
  assert.throws(() => retrying('x'), TypeError);
  assert.throws(() => retrying(async () => {}, { maxRetries: 3 }), /^TypeError: .*maxRetries: no such option/);
});

test('a function is told of its attempt, and of its end', async () => {
  const seen = [];
  const fn = retrying(async () => {
    const { number, retriesLeft, remainingMs, signal, limits } = currentAttempt();
    seen.push([number, retriesLeft, remainingMs > 0, limits.perTryTimeout]);
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }, { policy: { ...FAST, perTryTimeout: '20ms' }, idempotent: true });
  await assert.rejects(fn(), (error) => error instanceof ReknockError && error.kind === 'per_try_timeout');
  assert.deepEqual(seen, [[1, 2, true, 20], [2, 1, true, 20], [3, 0, true, 20]]);
  assert.equal(currentAttempt(), undefined);
});

test('reknock/testing: scripted answers, and time that leaps', async () => {
  const script = new Script([503, 'connect', { status: 429, headers: { 'retry-after': '30' } }, 'hang', { status: 200, body: 'done' }]);
  try {
    const fetch = retryFetch(script.fetch, { policy: { maxRetries: 5, backoff: '1s', perTryTimeout: '5s', timeout: '10m', statuses: [429, 503], retryOn: ['connect-failure', 'per-try-timeout'] } });
    const response = await fetch('http://service.test/orders', { headers: { 'x-a': '1' } });
    assert.equal(await response.text(), 'done');
    const { attempts } = attemptsOf(response);
    assert.deepEqual(attempts.map(({ status, error }) => status ?? error), [503, 'connect', 429, 'per_try_timeout', 200]);
    assert.deepEqual(script.waits, attempts.slice(0, -1).map(({ waitMs }) => waitMs));
    assert.ok(script.waits[2] >= 30_000);
    assert.equal(attempts[3].durationMs, 5000);
    // What could not connect was not sent.
    assert.deepEqual(script.sends.map(({ method, url }) => `${method} ${url}`), Array(4).fill('GET http://service.test/orders'));
    assert.equal(script.sends[0].headers.get('x-a'), '1');
  } finally {
    script.close();
  }
  for (const steps of [[], 'x', [99], ['nonsense'], [{ staus: 1 }]]) assert.throws(() => new Script(steps), TypeError);
  const time = noWait();
  const fetch = retryFetch(async () => new Response('', { status: 503 }), { policy: { backoff: '1h', timeout: 'none' } });
  await fetch('http://h/');
  assert.equal(time.waits.length, 2);
  time.close();
});

test('a retry strategy of the AWS SDK', async () => {
  const time = noWait();
  const strategy = retryStrategy({ policy: { maxRetries: 2, backoff: '1s' } });
  const refused = (rest) => Object.assign(new Error('no'), { $metadata: {}, ...rest });
  let token = await strategy.acquireInitialRetryToken('s3');
  assert.deepEqual([token.getRetryCount(), token.getRetryDelay()], [0, 0]);
  token = await strategy.refreshRetryTokenForRetry(token, { error: refused({ $response: { statusCode: 503, headers: {} } }), errorType: 'SERVER_ERROR' });
  token = await strategy.refreshRetryTokenForRetry(token, { error: refused({ $metadata: { httpStatusCode: 400 } }), errorType: 'THROTTLING' });
  assert.equal(token.getRetryCount(), 2);
  const last = refused({ code: 'ECONNRESET' });
  await assert.rejects(strategy.refreshRetryTokenForRetry(token, { error: last, errorType: 'TRANSIENT' }), (caught) => caught === last);
  assert.deepEqual(attemptsOf(last).attempts.map(({ status, error }) => status ?? error), [503, 400, 'reset']);
  assert.equal(attemptsOf(last).stopReason, 'retries_exhausted');
  const wrong = refused({ $metadata: { httpStatusCode: 404 } });
  await assert.rejects(strategy.refreshRetryTokenForRetry(await strategy.acquireInitialRetryToken(''), { error: wrong, errorType: 'CLIENT_ERROR' }), (caught) => caught === wrong);
  assert.equal(attemptsOf(wrong).stopReason, 'not_retryable');
  const well = await strategy.acquireInitialRetryToken('s3');
  strategy.recordSuccess(well);
  assert.equal(time.waits.length, 2);
  time.close();
});

test('attemptsOf knows clients, and errors that hold a response', async (t) => {
  const { url } = await serve(t, NO);
  const response = await createClient({ policy: FAST })(url);
  assert.equal(attemptsOf(response).attempts.length, 3);
  assert.equal(attemptsOf(Object.assign(new Error(), { response })).stopReason, 'retries_exhausted');
  const error = await createClient({ policy: false })('http://127.0.0.1:1/').catch((caught) => caught);
  assert.equal(attemptsOf(error).attempts.length, 1);
});

test('names of calls: a text, or what a function of method and URL gives', async (t) => {
  const { url } = await serve(t, NO, DONE);
  const names = [];
  const onEvent = ({ kind, call }) => kind === 'end' && names.push(call.name);
  for (const name of ['orders', (method, to) => `${method} ${new URL(to).pathname}`, () => undefined]) {
    await retryFetch({ policy: FAST, name, onEvent })(`${url}/orders`);
  }
  await retryFetch({ policy: FAST, onEvent })(url, { reknock: { name: 'of the call' } });
  assert.deepEqual(names, ['orders', 'GET /orders', null, 'of the call']);
});
