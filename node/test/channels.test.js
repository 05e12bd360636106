'use strict';
// What node:diagnostics_channel is told of calls and attempts; and that nobody's silence costs nothing.

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { channel, tracingChannel } = require('node:diagnostics_channel');
const { test } = require('node:test');
const { createClient, retryFetch, retrying } = require('..');
const { bridge } = require('../lib/bridge.js');
const { serve, status, DONE, FAST, HANG, NO } = require('./support/server.js');

/** Hears channels of calls and attempts, and events, until the test is over: `[[what, step, message], ...]`. */
function hear(t, ...names) {
  const heard = [];
  for (const name of names) {
    if (name === 'event') {
      const told = (event) => heard.push(['event', event.kind, event]);
      channel('reknock:event').subscribe(told);
      t.after(() => channel('reknock:event').unsubscribe(told));
      continue;
    }
    const steps = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((step) => [step, (message) => heard.push([name, step, message])]);
    const handlers = Object.fromEntries(steps);
    tracingChannel(`reknock:${name}`).subscribe(handlers);
    t.after(() => tracingChannel(`reknock:${name}`).unsubscribe(handlers));
  }
  return heard;
}

const order = (heard) => heard.map(([what, step, message]) => (what === 'attempt' ? `${what} ${message.number} ${step}` : `${what} ${step}`));
const ONE = ['start', 'end', 'asyncStart', 'asyncEnd'];
const RETRIED = [
  'call start', 'call end',
  ...ONE.map((step) => `attempt 1 ${step}`), 'event retry',
  ...ONE.map((step) => `attempt 2 ${step}`), 'event end',
  'call asyncStart', 'call asyncEnd',
];

test('a call, its attempts and its events, in order', async (t) => {
  const heard = hear(t, 'call', 'attempt', 'event');
  const { url, port } = await serve(t, NO, DONE, NO, DONE, NO, DONE);
  const client = createClient({ policy: FAST });
  for (const call of [client, client.request, (to, init) => client(to, { ...init, delivery: 'streamed' })]) {
    heard.length = 0;
    await call(`${url}/orders?key=secret`, { name: 'orders.get' });
    const told = heard.filter(([what, kind]) => what !== 'event' || !kind.startsWith('attempt'));
    assert.deepEqual(order(told), RETRIED);
    const [, , whole] = heard[0];
    assert.deepEqual({ ...whole.call, callId: 0 }, { callId: 0, method: 'GET', url: `${url}/orders?key=...`, origin: `http://127.0.0.1:${port}`, name: 'orders.get' });
    assert.equal(whole.stopReason, 'completed');
    assert.deepEqual(whole.attempts.map((attempt) => attempt.status), [503, 200]);
    for (const [, , message] of heard) assert.equal(message.call, whole.call);
    const [first, second] = heard.filter(([what, step]) => what === 'attempt' && step === 'asyncEnd').map(([, , message]) => message);
    assert.deepEqual([first.record.status, second.record.status, 'error' in first, first.adapter], [503, 200, false, false]);
    assert.ok(first.record.durationMs > 0);
  }
  const numbers = heard.map(([, , message]) => message.call.callId);
  assert.equal(new Set(numbers).size, 1);
});

test('adapters and functions tell the same', async (t) => {
  const heard = hear(t, 'call', 'attempt', 'event');
  const { url } = await serve(t, NO, DONE);
  await retryFetch({ policy: FAST })(`${url}/a?b=c`);
  // What sends is called at once: the first attempt begins before the call is in flight.
  const AT_ONCE = ['call start', 'attempt 1 start', 'attempt 1 end', 'call end', ...RETRIED.slice(4)];
  assert.deepEqual(order(heard), AT_ONCE);
  const [, , { call, adapter }] = heard[0];
  assert.deepEqual([call.method, call.url, call.name, adapter], ['GET', `${url}/a?b=...`, null, true]);
  heard.length = 0;
  let times = 0;
  const read = retrying(async function read() {
    if (times++ === 0) throw Object.assign(new Error('no'), { code: 'ECONNRESET' });
  }, { policy: FAST, idempotent: true });
  await read();
  const told = order(heard);
  assert.deepEqual(told.filter((line) => line !== 'attempt 1 error'), AT_ONCE);
  const [, , failed] = heard.find(([what, step]) => what === 'attempt' && step === 'error');
  assert.deepEqual([failed.error.message, failed.call.name, failed.headers], ['no', 'read', null]);
  times = 0;
  await read();
  assert.notEqual(heard.at(-1)[2].call.callId, failed.call.callId);
});

test('the header fields that a subscriber adds are sent with that attempt alone', async (t) => {
  const add = (message) => {
    if (message.number !== 2) message.headers['x-number'] = `${message.number}`;
  };
  tracingChannel('reknock:attempt').start.subscribe(add);
  t.after(() => tracingChannel('reknock:attempt').start.unsubscribe(add));
  const policy = { ...FAST, maxRetries: 2 };
  for (const call of [createClient({ policy }), createClient({ policy }).request, retryFetch({ policy })]) {
    const script = await serve(t, NO, NO, DONE);
    await call(script.url, { headers: { 'x-number': 'own' } });
    const sent = (await script.log()).map(({ headers }) => new Headers(headers).get('x-number'));
    assert.deepEqual(sent, ['1', 'own', '3']);
  }
});

test('failures and calls that are given up end what began', async (t) => {
  const heard = hear(t, 'call', 'attempt');
  const client = createClient({ policy: { ...FAST, maxRetries: 0 } });
  const failing = await serve(t, { do: 'reset' });
  const error = await client.request(failing.url).catch((thrown) => thrown);
  const failed = [...ONE.slice(0, 2), 'error', ...ONE.slice(2)];
  assert.deepEqual(order(heard), ['call start', 'call end', ...failed.map((step) => `attempt 1 ${step}`), 'call error', 'call asyncStart', 'call asyncEnd']);
  const [, , attempt] = heard.find(([what]) => what === 'attempt');
  assert.deepEqual([attempt.error.kind, attempt.record.error, heard.at(-1)[2].error], ['reset', 'reset', error]);

  heard.length = 0;
  const script = await serve(t, HANG);
  const control = new AbortController();
  const call = client(script.url, { signal: control.signal });
  await script.until((arrivals) => arrivals.length === 1);
  control.abort(new Error('enough'));
  await assert.rejects(call, /enough/);
  assert.deepEqual(order(heard).slice(-8), ['attempt 1 start', 'attempt 1 end', 'attempt 1 error', 'attempt 1 asyncStart', 'attempt 1 asyncEnd', 'call error', 'call asyncStart', 'call asyncEnd']);
  assert.deepEqual([heard.at(-4)[2].record.error, heard.at(-1)[2].error.message], ['cancelled', 'enough']);
});

test('stores that are bound to a call hold in its callbacks; a subscriber that throws fails no call', async (t) => {
  const store = new AsyncLocalStorage();
  const calls = tracingChannel('reknock:call');
  calls.start.bindStore(store, ({ call }) => call.name);
  const bad = () => {
    throw new Error('a mistake of a subscriber');
  };
  calls.start.subscribe(bad);
  t.after(() => (calls.start.unbindStore(store), calls.start.unsubscribe(bad)));
  // What it adds that is no field is not sent.
  const add = ({ headers }) => Object.assign(headers, { 'x-good': 'yes', 'no name': 'x' });
  const attempts = tracingChannel('reknock:attempt');
  attempts.start.subscribe(add);
  t.after(() => attempts.start.unsubscribe(add));
  const before = process.listeners('uncaughtException');
  const thrown = [];
  process.removeAllListeners('uncaughtException').on('uncaughtException', ({ message }) => thrown.push(message));
  try {
    const script = await serve(t, NO, DONE);
    const seen = [];
    const response = await createClient({ policy: FAST })(script.url, { name: 'mine', retryIf: () => void seen.push(store.getStore()) });
    assert.deepEqual([response.status, seen], [200, ['mine', 'mine']]);
    assert.deepEqual((await script.log()).map(({ headers }) => new Headers(headers).get('x-good')), ['yes', 'yes']);
    const none = 'reknock:attempt: no name is no header field, or its value is none';
    assert.deepEqual(thrown, ['a mistake of a subscriber', none, none]);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  }
});

test('where nobody subscribes, the core is asked nothing more and nothing is made', async (t) => {
  const EVENTS = 8;
  const BEFORE_ATTEMPT = 512;
  const { url } = await serve(t, DONE, DONE, DONE);
  const client = createClient();
  const { send } = bridge;
  const asked = [];
  bridge.send = (...args) => (asked.push([args[5] & EVENTS, args[5] & BEFORE_ATTEMPT, args[6]]), send.apply(bridge, args));
  t.after(() => delete bridge.send);
  await client.request(url);
  const off = () => {};
  channel('reknock:event').subscribe(off);
  await client.request(url);
  channel('reknock:event').unsubscribe(off);
  await client.request(url);
  assert.deepEqual(asked.map(([events, before]) => [events, before]), [[0, 0], [EVENTS, 0], [0, 0]]);
  assert.deepEqual([asked[0][2], asked[2][2]], [undefined, undefined]);
});

test('the lines of events name the call, and say how much they matter', async (t) => {
  const heard = hear(t, 'event');
  const { url } = await serve(t, status(503));
  for (const call of [createClient({ policy: { ...FAST, maxRetries: 1 } }), retryFetch({ policy: { ...FAST, maxRetries: 1 } })]) {
    heard.length = 0;
    await call(`${url}/x?y=z`, { reknock: {} });
    const lines = heard.map(([, , { kind, level, text }]) => [kind, level, text.replace(/\d+(\.\d+)?(ms|µs|s)\b/g, 'TIME')]).filter(([kind]) => !kind.startsWith('attempt'));
    assert.deepEqual(lines, [
      ['retry', 'info', `GET ${url}/x?y=...: retry 1 in TIME, because of 503`],
      ['end', 'warning', `GET ${url}/x?y=...: 503 Service Unavailable after 2 attempts in TIME (retries_exhausted)`],
    ]);
  }
});
