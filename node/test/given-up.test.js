'use strict';
// Calls of adapters and functions that are given up, or whose callback fails: what began ends, once, and what it held is given back.

const assert = require('node:assert/strict');
const { channel, tracingChannel } = require('node:diagnostics_channel');
const { test } = require('node:test');
const { attemptsOf, Budgets, Policy, retryFetch, retrying } = require('../index.js');
const { retryStrategy } = require('reknock/aws');
const { retryInterceptor } = require('reknock/undici');
const { serve, status, HANG, NO } = require('./support/server.js');

// A place that a retry holds while it waits.
const POLICY = { backoff: '30s', timeout: 'none', budget: { kind: 'concurrency', percent: 0, min: 1 } };
const BUDGET = new Policy(POLICY);

const viaUndici = (name) => async (url, signal, options) => {
  const undici = require(name);
  const { body } = await undici.request(url, { signal, dispatcher: new undici.Agent().compose(retryInterceptor(options)) });
  await body.dump();
};

const WAYS = {
  retryFetch: (url, signal, options) => retryFetch(options)(url, { signal }),
  'retryFetch of a Request': (url, signal, options) => retryFetch(options)(new Request(url, { signal })),
  undici6: viaUndici('undici6'),
  undici7: viaUndici('undici7'),
  retrying: (url, signal, options) => retrying((...args) => fetch(...args), { ...options, origin: new URL(url).origin, idempotent: true, signal })(url),
};

/** Listens to a call by its options and all channels; `at` is called when an event of a kind comes. */
function hear(t) {
  const heard = { events: [], steps: [], at: {}, budgets: new Budgets() };
  heard.options = {
    policy: POLICY,
    budgets: heard.budgets,
    onEvent(event) {
      heard.events.push(event);
      heard.at[event.kind]?.();
    },
  };
  for (const name of ['call', 'attempt']) {
    const steps = ['start', 'error', 'asyncEnd'].map((step) => [step, (message) => heard.steps.push([`${name} ${step}`, message])]);
    const handlers = Object.fromEntries(steps);
    tracingChannel(`reknock:${name}`).subscribe(handlers);
    t.after(() => tracingChannel(`reknock:${name}`).unsubscribe(handlers));
  }
  const published = [];
  const told = (event) => published.push(event);
  channel('reknock:event').subscribe(told);
  t.after(() => channel('reknock:event').unsubscribe(told));
  heard.ended = (url, kinds, { error = null, code = null, reason = 'cancelled' }) => {
    assert.deepEqual(heard.events.map(({ kind }) => kind), kinds);
    assert.deepEqual(published, heard.events);
    const { stopReason, failed, attempts, text } = heard.events.at(-1);
    assert.deepEqual([stopReason, failed, attempts.map((record) => [record.error, record.status])], [reason, reason !== 'cancelled', [[error, code]]]);
    assert.ok(text.includes(reason === 'cancelled' ? 'the call was cancelled after 1 attempt in ' : 'a callback failed after 1 attempt in '), text);
    assert.equal(heard.budgets.reading(BUDGET, new URL(url).origin).balance, 1);
    const given = error === null ? [] : ['attempt error'];
    assert.deepEqual(heard.steps.map(([step]) => step), ['call start', 'attempt start', ...given, 'attempt asyncEnd', 'call error', 'call asyncEnd']);
    const [, attempt] = heard.steps.find(([step]) => step === 'attempt asyncEnd');
    assert.deepEqual([attempt.record.error, attempt.record.status], [error, code]);
    assert.equal(heard.steps.at(-1)[1].stopReason, reason);
  };
  return heard;
}

for (const [name, way] of Object.entries(WAYS)) {
  test(`${name}: given up while it is sent`, async (t) => {
    const heard = hear(t);
    const script = await serve(t, HANG);
    const control = new AbortController();
    const call = way(script.url, control.signal, heard.options);
    await script.until((arrivals) => arrivals.length === 1);
    control.abort(new Error('enough'));
    await assert.rejects(call, { message: 'enough' });
    heard.ended(script.url, ['end'], { error: 'cancelled' });
  });

  test(`${name}: given up while it waits`, async (t) => {
    const heard = hear(t);
    const script = await serve(t, NO);
    const control = new AbortController();
    heard.at.retry = () => control.abort(new Error('enough'));
    await assert.rejects(way(script.url, control.signal, heard.options), { message: 'enough' });
    heard.ended(script.url, ['retry', 'end'], { code: 503 });
  });

  test(`${name}: a callback that fails`, async (t) => {
    const heard = hear(t);
    const script = await serve(t, NO);
    const wrong = new RangeError('mine');
    const call = way(script.url, undefined, { ...heard.options, retryIf: () => Promise.reject(wrong) });
    await assert.rejects(call, (error) => [error, error.cause].includes(wrong));
    heard.ended(script.url, ['end'], { code: 503, reason: 'callback' });
    assert.equal(attemptsOf(wrong).stopReason, 'callback');
  });
}

test('the strategy for the AWS SDK: what it is told of ends', async () => {
  const events = [];
  const strategy = retryStrategy({ policy: POLICY, onEvent: (event) => events.push(event) });
  const brief = () => events.splice(0).map(({ kind, stopReason, failed }) => [kind, stopReason, failed]);
  strategy.recordSuccess(await strategy.acquireInitialRetryToken('s3'));
  assert.deepEqual(brief(), [['end', 'completed', false]]);
  const error = Object.assign(new Error('Request aborted'), { name: 'AbortError' });
  const token = await strategy.acquireInitialRetryToken('s3');
  await assert.rejects(strategy.refreshRetryTokenForRetry(token, { error, errorType: 'CLIENT_ERROR' }), (thrown) => thrown === error);
  assert.deepEqual(brief(), [['end', 'cancelled', false]]);
});

test('a name that is none fails no call, or is refused', async (t) => {
  const { url } = await serve(t, status(200), status(200));
  const before = process.listeners('uncaughtException');
  const thrown = [];
  process.removeAllListeners('uncaughtException').on('uncaughtException', ({ message }) => thrown.push(message));
  const names = [];
  const onEvent = ({ call }) => names.push(call.name);
  try {
    assert.equal((await retryFetch({ name: () => 5, onEvent })(url)).status, 200);
    assert.equal((await retryFetch({ name: () => { throw new Error('a name'); }, onEvent })(url)).status, 200);
    await new Promise(setImmediate);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  }
  assert.deepEqual([names, thrown], [[null, null], ['name: must give a text or nothing, gave number', 'a name']]);
  assert.throws(() => retryFetch({ name: 5 }), /name: must be a text, or a function of method and URL, got number/);
});
