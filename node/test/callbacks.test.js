'use strict';
// Callbacks: where they run, what they see, what their answers do.

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { test } = require('node:test');
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');
const { attemptsOf, createClient, ReknockError } = require('../index.js');
const { FAST, serve, status, DONE, ECHO, NO } = require('./support/server.js');

const client = createClient({ policy: FAST });

for (const [answer, requests, reason] of [
  [true, 3, 'retries_exhausted'],
  [false, 3, 'retries_exhausted'],
  ['stop', 1, 'predicate_stop'],
  [undefined, 3, 'retries_exhausted'],
  [null, 3, 'retries_exhausted'],
  [0, 3, 'retries_exhausted'],
  [20, 3, 'retries_exhausted'],
]) {
  for (const [name, retryIf] of [['sync', () => answer], ['async', async () => (await turn(), answer)]]) {
    test(`retryIf: ${answer}, ${name}`, async (t) => {
      const script = await serve(t, NO);
      const response = await client(script.url, { retryIf });
      assert.equal(response.stopReason, reason);
      assert.equal((await script.log()).length, requests);
      if (typeof answer === 'number') assert.equal(response.attempts[0].waitMs, answer);
    });
  }
}

test('retryIf may retry what the policy would not', async (t) => {
  const { url } = await serve(t, status(404), status(200, '{"ready": false}'), status(200, '{"ready": true}'));
  const retryIf = ({ status, body }) => status === 404 || (body && !JSON.parse(Buffer.from(body)).ready ? true : undefined);
  const response = await client(url, { retryIf, withBody: true });
  assert.deepEqual(await response.json(), { ready: true });
  assert.equal(response.attempts.length, 3);
});

test('what callbacks see', async (t) => {
  const seen = [];
  const { url } = await serve(t, status(503, 'slow down', { headers: [['retry-after', '0.01'], ['X-A', 'b']] }), { do: 'reset' }, DONE);
  await client(`${url}/x`, { retryIf: (attempt) => void seen.push(attempt), withBody: true, headers: { 'x-a': '1' } });
  // Nothing is asked about the last attempt: no retry is left.
  assert.equal(seen.length, 2);
  const [first, second] = seen;
  assert.deepEqual([first.number, first.retriesLeft, first.method, first.url], [1, 2, 'GET', `${url}/x`]);
  assert.deepEqual([first.status, first.error, first.message, first.evidence, first.verdict], [503, null, null, 'unknown', true]);
  assert.equal(Buffer.from(first.body).toString(), 'slow down');
  assert.ok(first.headers instanceof Headers && first.requestHeaders instanceof Headers);
  assert.deepEqual([first.headers.get('x-a'), first.requestHeaders.get('x-a')], ['b', '1']);
  assert.equal(first.hintMs, 10);
  assert.ok(first.plannedWaitMs >= 10 && first.elapsedMs > 0);
  assert.deepEqual([second.number, second.status, second.error, second.evidence, second.hintMs, second.body], [2, null, 'reset', 'unknown', null, null]);
  assert.ok(second.message.length > 0);
  assert.deepEqual([...second.headers], []);
});

test('delay', async (t) => {
  for (const delay of [() => 30, async () => (await turn(), 30)]) {
    const response = await client((await serve(t, NO, DONE)).url, { delay });
    assert.equal(response.attempts[0].waitMs, 30);
  }
  const response = await client((await serve(t, NO, DONE)).url, { delay: () => undefined });
  assert.equal(response.attempts[0].waitMs, 10);
});

test('beforeRetry edits the next attempt alone', async (t) => {
  const script = await serve(t, NO, NO, ECHO);
  const beforeRetry = async (attempt, request) => {
    await turn();
    assert.deepEqual([request.method, request.headers.get('x-try'), `${request.url}`], ['POST', '0', `${script.url}/`]);
    request.headers.set('x-try', attempt.number);
    request.headers.delete('x-gone');
    request.headers.append('x-new', 'é');
    request.url = new URL(`/try${attempt.number}`, script.url);
    request.setBody('again');
  };
  const response = await client.post(script.url, { body: 'first', headers: { 'x-try': '0', 'x-gone': '1' }, beforeRetry, policy: { methods: 'any' } });
  const echo = await response.json();
  const headers = Object.fromEntries(echo.headers);
  assert.deepEqual([echo.target, echo.body, headers['x-try'], headers['x-gone'], headers['content-length']], ['/try2', 'again', '2', undefined, '5']);
  assert.deepEqual((await script.log()).map(({ target }) => target), ['/', '/try1', '/try2']);
});

test('beforeRetry sets JSON, and is refused what cannot be sent', async (t) => {
  const echo = await (await client.put((await serve(t, NO, ECHO)).url, { beforeRetry: (_, request) => request.setJson({ a: 1 }) })).json();
  assert.deepEqual([echo.body, Object.fromEntries(echo.headers)['content-type']], ['{"a":1}', 'application/json']);
  const { url } = await serve(t, NO);
  await assert.rejects(client(url, { beforeRetry: (_, request) => void (request.url = 'ftp://x/') }), { kind: 'invalid_request' });
  await assert.rejects(client(url, { beforeRetry: (_, request) => request.setBody({}) }), TypeError);
});

for (const name of ['retryIf', 'delay', 'beforeRetry']) {
  test(`${name}: what it throws, the call rejects with`, async (t) => {
    const error = new Error('mine');
    for (const callback of [() => { throw error; }, async () => { throw error; }, async () => { await turn(); throw error; }]) {
      const script = await serve(t, NO);
      await assert.rejects(client(script.url, { [name]: callback }), (caught) => caught === error);
      assert.equal((await script.log()).length, 1);
      const { attempts, stopReason, explain } = attemptsOf(error);
      assert.deepEqual([attempts.map(({ status }) => status), stopReason], [[503], 'callback']);
      assert.match(explain(), /= callback: a callback raised/);
    }
    for (const value of [undefined, null, 'text']) {
      const { url } = await serve(t, NO);
      const outcome = await client(url, { [name]: () => { throw value; } }).then(() => 'fulfilled', (reason) => [reason]);
      assert.deepEqual(outcome, [value]);
    }
  });
}

test('the stack of what a callback throws leads to it', async (t) => {
  const { url } = await serve(t, NO);
  async function asked() {
    throw new Error('mine');
  }
  async function caller() {
    await client(url, { retryIf: asked });
  }
  const { stack } = await caller().catch((error) => error);
  assert.match(stack, /asked .*callbacks\.test\.js/);
  assert.match(stack, /at async .*caller .*callbacks\.test\.js/);
});

test('the stack of a failure leads to the caller', async (t) => {
  const { url } = await serve(t, { do: 'reset' });
  async function caller() {
    await client(url);
  }
  const error = await caller().catch((error) => error);
  assert.ok(error instanceof ReknockError);
  assert.match(error.stack, /at async .*caller .*callbacks\.test\.js/);
});

test('AsyncLocalStorage: callbacks and producers run in the context of the call', async (t) => {
  const storage = new AsyncLocalStorage();
  const { url } = await serve(t, NO, NO, DONE);
  const calls = Array.from({ length: 10 }, (_, i) =>
    storage.run({ i }, async () => {
      const seen = [];
      const see = async () => {
        seen.push(storage.getStore()?.i);
        await sleep(1);
        seen.push(storage.getStore()?.i);
      };
      const body = async function* () {
        await see();
        yield 'x';
      };
      const hooks = { retryIf: see, delay: see, beforeRetry: see, onEvent: () => seen.push(storage.getStore()?.i) };
      await client.put((await serve(t, NO, NO, DONE)).url, { ...hooks, body });
      assert.equal(storage.getStore().i, i);
      // 2 of each callback, twice seen; 3 bodies, twice seen; 9 events.
      assert.deepEqual(seen, new Array(12 + 6 + 9).fill(i));
    }),
  );
  await Promise.all(calls);
  assert.equal(storage.getStore(), undefined);
  void url;
});

test('events', async (t) => {
  const events = [];
  const { url } = await serve(t, NO, { do: 'redirect', status: 302, location: '$url/next?token=1' }, DONE);
  await client(url, { name: 'orders.get', onEvent: (event) => void events.push(event) });
  const attempt = ['attempt_start', 'attempt_end'];
  assert.deepEqual(events.map(({ kind }) => kind), [...attempt, 'retry', ...attempt, 'redirect', ...attempt, 'end']);
  const { callId } = events[0].call;
  for (const { call } of events) assert.deepEqual(call, { callId, method: 'GET', url: `${url}/`, origin: url, name: 'orders.get' });
  const [retry, redirect, end] = ['retry', 'redirect', 'end'].map((kind) => events.find((event) => event.kind === kind));
  assert.deepEqual([retry.attempt.status, retry.attempt.waitMs, retry.reason], [503, 10, '503']);
  assert.equal(redirect.target, `${url}/next?token=...`);
  assert.deepEqual([end.stopReason, end.attempts.length, end.failed], ['completed', 3, false]);
  assert.equal(retry.text, `GET ${url}/: retry 1 in 10ms, because of 503`);
  await assert.rejects(client(url, { name: 7 }), { name: 'TypeError', message: 'name: must be a string, got number' });
});

test('events of a call that fails, and before callbacks of the same moment', async (t) => {
  const order = [];
  const { url } = await serve(t, { do: 'reset' });
  await assert.rejects(client(url, { onEvent: ({ kind }) => order.push(kind), beforeRetry: () => void order.push('beforeRetry') }), { kind: 'reset' });
  const attempt = ['attempt_start', 'attempt_end'];
  assert.deepEqual(order, [...attempt, 'retry', 'beforeRetry', ...attempt, 'retry', 'beforeRetry', ...attempt, 'end']);
});

test('callbacks of a call go before those of its client; null turns one off', async (t) => {
  const { url } = await serve(t, NO);
  const never = createClient({ policy: FAST, retryIf: () => 'stop' });
  assert.equal((await never(url)).attempts.length, 1);
  assert.equal((await never(url, { retryIf: () => true })).attempts.length, 3);
  assert.equal((await never(url, { retryIf: null })).attempts.length, 3);
  assert.equal((await never.extend({ retryIf: null })(url)).attempts.length, 3);
});

test('the deadline covers asynchronous callbacks', async (t) => {
  const { url } = await serve(t, NO);
  for (const name of ['retryIf', 'delay', 'beforeRetry']) {
    const error = await client(url, { [name]: () => new Promise(() => {}), timeout: 100 }).catch((error) => error);
    assert.deepEqual([error.kind, error.stopReason, error.attempts.length], ['deadline', 'deadline', 1], name);
  }
});

test('what a callback throws after its call is over is nobody\'s', async (t) => {
  const { url } = await serve(t, NO);
  const late = [];
  t.after(() => process.off('unhandledRejection', unhandled));
  const unhandled = (reason) => late.push(reason);
  process.on('unhandledRejection', unhandled);
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const retryIf = async () => {
    await released;
    throw new Error('late');
  };
  await assert.rejects(client(url, { retryIf, timeout: 50 }), { kind: 'deadline' });
  release();
  await turn();
  assert.deepEqual(late, []);
});

test('the event loop turns while a call is under way', async (t) => {
  const { url } = await serve(t, status(200, '', { delay: '200ms' }));
  let turns = 0;
  const timer = setInterval(() => void turns++, 5);
  await client(url);
  clearInterval(timer);
  assert.ok(turns > 1, `${turns}`);
});

test('what is no answer tells of the attempts, and observers of the end', async (t) => {
  const { url } = await serve(t, NO);
  const events = [];
  const error = await client(url, { retryIf: () => 'yes', onEvent: (event) => events.push(event) }).then(assert.fail, (caught) => caught);
  assert.deepEqual([error.kind, error.stopReason, error.attempts.length, error.attempts[0].status], ['callback', 'callback', 1, 503]);
  assert.match(error.message, /^retry_?[iI]f: must/);
  assert.deepEqual(events.map(({ kind, stopReason }) => [kind, stopReason]), [['attempt_start', undefined], ['attempt_end', undefined], ['end', 'callback']]);
});

test('events and records have what the reference lists', async (t) => {
  const listed = require('../../tests/vectors/told.json');
  const events = [];
  const script = await serve(t, { do: 'status', status: 503, interim: [103] }, { do: 'redirect', status: 302, location: '$url/next' }, DONE);
  const response = await client(script.url, { onEvent: (event) => events.push(event) });
  const poor = { budget: { ratio: 0, minPerSecond: 0 } };
  await client((await serve(t, NO)).url, { policy: poor, onEvent: (event) => events.push(event) });
  const names = (fields) => fields.map(({ node }) => node).sort();
  assert.deepEqual([...new Set(events.map(({ kind }) => kind))].sort(), Object.keys(listed.events).sort());
  for (const event of events) assert.deepEqual(Object.keys(event).sort(), names([...listed.every, ...listed.events[event.kind]]), event.kind);
  assert.deepEqual(Object.keys(response.attempts[0]).sort(), names(listed.record));
  assert.deepEqual(Object.keys(events[0].call).sort(), names(listed.call));
});
