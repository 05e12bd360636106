'use strict';
// AbortSignal, in every state of a call.

const assert = require('node:assert/strict');
const { getEventListeners } = require('node:events');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const { createClient } = require('../index.js');
const { bridge } = require('../lib/bridge.js');
const { FAST, serve, DONE, HANG, NO } = require('./support/server.js');

const client = createClient({ policy: FAST });
const DRIP = { do: 'status', status: 200, body_size: 1_000_000, drip: { bytes: 10, every: '10ms' } };

/** A signal that nobody has aborted yet, with a count of its listeners. */
function watched() {
  const controller = new AbortController();
  return { ...controller, abort: controller.abort.bind(controller), signal: controller.signal, listeners: () => getEventListeners(controller.signal, 'abort').length };
}

/** The call must reject with this very reason, and leave nothing behind. */
async function ended(call, reason, { signal, listeners }) {
  await assert.rejects(call, (caught) => caught === reason);
  assert.equal(signal.reason, reason);
  assert.equal(listeners(), 0);
  assert.equal(bridge.inFlight, 0);
}

test('aborted before the call', async (t) => {
  const script = await serve(t, DONE);
  const reason = new Error('mine');
  for (const send of [client.fetch, client.request.bind(client)]) {
    const control = watched();
    control.abort(reason);
    await ended(send(script.url, { signal: control.signal }), reason, control);
  }
  const { name } = await client(script.url, { signal: AbortSignal.abort() }).catch((error) => error);
  assert.equal(name, 'AbortError');
  assert.equal((await script.log()).length, 0);
});

test('aborted before the call: its body is let go', async (t) => {
  const { url } = await serve(t, DONE);
  let cancelled;
  const body = new ReadableStream({ cancel: (reason) => void (cancelled = reason) });
  await assert.rejects(client.put(url, { body, signal: AbortSignal.abort('now') }), (reason) => reason === 'now');
  assert.equal(cancelled, 'now');
});

test('aborted in the same turn', async (t) => {
  const { url } = await serve(t, DONE);
  const control = watched();
  const call = client(url, { signal: control.signal });
  assert.ok(control.listeners() <= 1);
  control.abort('now');
  await ended(call, 'now', control);
});

test('aborted in flight', async (t) => {
  const script = await serve(t, HANG);
  const control = watched();
  const call = client(script.url, { signal: control.signal });
  await script.until((log) => log.length === 1);
  assert.equal(control.listeners(), 1);
  control.abort(new Error('mine'));
  await ended(call, control.signal.reason, control);
  const log = await script.until(([arrival]) => 'client_gone_ms' in arrival);
  assert.equal(log.length, 1);
});

test('AbortSignal.timeout', async (t) => {
  const { url } = await serve(t, HANG);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(client(url, { signal }), (caught) => caught === signal.reason && caught.name === 'TimeoutError');
});

test('AbortSignal.any, and the signal of a Request', async (t) => {
  const script = await serve(t, HANG);
  const control = watched();
  const calls = [client(script.url, { signal: AbortSignal.any([control.signal]) }), client(new Request(script.url, { signal: control.signal }))];
  await script.until((log) => log.length === 2);
  control.abort('now');
  for (const call of calls) await assert.rejects(call, (reason) => reason === 'now');
});

test('aborted while waiting', async (t) => {
  const script = await serve(t, NO);
  const control = watched();
  const patient = createClient({ policy: { backoff: '10m', timeout: 'none' } });
  const call = patient(script.url, { signal: control.signal });
  await script.until(([arrival]) => arrival?.did);
  control.abort('now');
  await ended(call, 'now', control);
  assert.equal((await script.log()).length, 1);
});

for (const name of ['retryIf', 'delay', 'beforeRetry']) {
  test(`aborted in ${name}`, async (t) => {
    const script = await serve(t, NO);
    const control = watched();
    const call = client(script.url, { signal: control.signal, [name]: () => (setImmediate(() => control.abort('now')), new Promise(() => {})) });
    await ended(call, 'now', control);
    // In one that does not wait, it takes effect when that returns.
    const again = watched();
    await ended(client(script.url, { signal: again.signal, [name]: () => void again.abort('here') }), 'here', again);
    assert.equal((await script.log()).length, 2);
  });
}

test('an aborted call ends for observers, wherever it is', async (t) => {
  const patient = createClient({ policy: { backoff: '10m', timeout: 'none' } });
  const never = () => new Promise(() => {});
  for (const [step, hooks, error] of [[HANG, {}, 'cancelled'], [NO, {}, null], [NO, { retryIf: never }, null], [NO, { delay: never }, null]]) {
    const script = await serve(t, step);
    const control = watched();
    const events = [];
    const call = patient(script.url, { signal: control.signal, onEvent: (event) => void events.push(event), ...hooks });
    await script.until(([arrival]) => (step === HANG ? arrival : arrival?.did));
    control.abort('now');
    await ended(call, 'now', control);
    const kinds = events.map(({ kind }) => kind).filter((kind) => kind !== 'retry');
    assert.deepEqual(kinds, ['attempt_start', 'attempt_end', 'end']);
    const end = events.at(-1);
    assert.deepEqual([end.stopReason, end.failed, end.attempts.length], ['cancelled', false, 1]);
    if (error) assert.equal(end.attempts[0].error, error);
  }
});

test('aborted at any moment, a call has as many ends as starts', async (t) => {
  const { url } = await serve(t, NO, DONE);
  const events = [];
  const quick = createClient({ policy: { backoff: '1ms', budget: 'none' }, onEvent: (event) => void events.push(event) });
  for (let turns = 0; turns < 200; turns++) {
    const control = watched();
    const call = quick(url, { signal: control.signal }).catch(() => {});
    for (let left = turns; left > 0; left--) await turn();
    control.abort('now');
    await call;
  }
  const calls = new Set(events.map(({ call }) => call.callId));
  assert.ok(calls.size > 0);
  for (const id of calls) {
    const told = events.filter(({ call }) => call.callId === id);
    const count = (kind) => told.filter((event) => event.kind === kind).length;
    assert.deepEqual([count('attempt_end'), count('end'), told.at(-1).kind], [count('attempt_start'), 1, 'end']);
  }
});

test('aborted while its body is produced', async (t) => {
  const script = await serve(t, DONE);
  const control = watched();
  let ended_;
  const body = (async function* () {
    try {
      yield 'a';
      setImmediate(() => control.abort('now'));
      await new Promise(() => {});
    } finally {
      ended_ = true;
    }
  })();
  await ended(client.put(script.url, { body, signal: control.signal }), 'now', control);
  await script.until(([arrival]) => arrival && 'client_gone_ms' in arrival);
  // It still waits for its own promise: only it can end that.
  assert.equal(ended_, undefined);
});

test('aborted while the response is read', async (t) => {
  const script = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'stall', after: 50 });
  const control = watched();
  const response = await client(script.url, { stream: true, signal: control.signal });
  const reader = response.body.getReader();
  await reader.read();
  assert.equal(control.listeners(), 1);
  const read = reader.read();
  await turn();
  assert.equal(bridge.inFlight, 1);
  control.abort(new Error('mine'));
  await ended(read, control.signal.reason, control);
  await script.until(([arrival]) => 'client_gone_ms' in arrival);
});

test('aborted between head and body', async (t) => {
  const script = await serve(t, DRIP);
  const control = watched();
  const response = await client(script.url, { stream: true, signal: control.signal });
  control.abort('now');
  await ended(response.text(), 'now', control);
  await script.until(([arrival]) => 'client_gone_ms' in arrival);
});

test('a body that nobody has read ends with the signal, though it is there', async (t) => {
  const { url } = await serve(t, DONE);
  for (const read of [(response) => response.text(), (response) => response.json(), (response) => response.clone().arrayBuffer(), (response) => response.blob(), ({ body }) => body.getReader().read()]) {
    const control = watched();
    const response = await client(url, { signal: control.signal });
    assert.equal(control.listeners(), 0);
    control.abort('now');
    await assert.rejects(async () => read(response), (reason) => reason === 'now');
  }
  const control = watched();
  const opened = await client(url, { signal: control.signal });
  const reader = opened.body.getReader();
  assert.equal(control.listeners(), 1);
  control.abort('now');
  await assert.rejects(reader.read(), (reason) => reason === 'now');
  assert.equal(control.listeners(), 0);
});

test('what was read stays, and so does what request() gives', async (t) => {
  const { url } = await serve(t, DONE);
  const control = watched();
  const [response, other, lean] = await Promise.all([client(url, { signal: control.signal }), client(url, { signal: control.signal }), client.request(url, { signal: control.signal })]);
  assert.equal(await response.text(), 'done');
  assert.equal(`${Buffer.from((await other.body.getReader().read()).value)}`, 'done');
  assert.equal(control.listeners(), 0);
  control.abort();
  assert.equal(response.bodyUsed, true);
  assert.equal(await lean.body.text(), 'done');
});

test('a signal of many calls has one listener, and none after them', async (t) => {
  const { url } = await serve(t, DONE);
  const warnings = [];
  const warned = (warning) => warnings.push(warning.name);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const control = watched();
  const calls = Array.from({ length: 50 }, () => client(url, { signal: control.signal }));
  assert.ok(control.listeners() <= 1);
  await Promise.all(calls);
  assert.equal(control.listeners(), 0);
  for (const outcome of [{ do: 'reset' }, NO]) {
    await client((await serve(t, outcome)).url, { signal: control.signal }).catch(() => {});
    assert.equal(control.listeners(), 0);
  }
  const stream = await client((await serve(t, DONE)).url, { stream: true, signal: control.signal });
  await stream.text();
  await turn();
  assert.equal(control.listeners(), 0);
  assert.deepEqual(warnings, []);
});

test('many calls, aborted at any moment', async (t) => {
  const { url } = await serve(t, NO, DONE);
  const own = createClient({ policy: { backoff: '1ms', budget: 'none' }, retryIf: async () => undefined });
  let seed = 7;
  for (let round = 0; round < 150; round++) {
    const control = watched();
    const call = own(url, { signal: control.signal });
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    for (let turns = (seed >> 8) % 12; turns > 0; turns--) await turn();
    control.abort('now');
    const outcome = await call.then(({ status }) => status, (reason) => reason);
    assert.ok(outcome === 'now' || outcome === 200, `${outcome}`);
    assert.equal(control.listeners(), 0);
  }
  assert.equal(bridge.inFlight, 0);
  assert.equal((await own(url)).status, 200);
});
