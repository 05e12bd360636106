'use strict';
// What comes at the same time, or too late: callbacks, bodies, deadlines and signals at once.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');
const { createClient } = require('../index.js');
const { bridge, waiting } = require('../lib/bridge.js');
const { FAST, serve, status, DONE, HANG, NO } = require('./support/server.js');
const { raw, request } = require('./support/raw.js');

const client = createClient({ policy: { ...FAST, methods: 'any' } });

/** Keeps the event loop busy, so that what comes meanwhile comes in one batch. */
function busy(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Answers the first request before it has been sent, with a status that is retried; the others when they are whole. */
function early(t) {
  let first = true;
  return raw(t, (text, socket, state) => {
    const { head, body, whole } = request(text);
    if (head && first) {
      first = false;
      state.early = socket.write('HTTP/1.1 503 No\r\ncontent-length: 1\r\n\r\nx') || true;
    }
    if (whole && !state.early) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  });
}

for (const name of ['retryIf', 'delay', 'beforeRetry']) {
  test(`pieces that are asked for while ${name} thinks lose no answer`, async (t) => {
    const server = await early(t);
    let produced = 0;
    const body = () => {
      const most = produced === 0 ? 1000 : 3;
      return (async function* () {
        for (let i = 0; i < most; i++) {
          await turn();
          produced++;
          yield 'x';
        }
      })();
    };
    let asked = 0;
    let told = 0;
    const callback = async ({ status }) => {
      asked++;
      // The upload goes on, or is over: both may be while it thinks.
      for (let i = 0; i < 50; i++) await turn();
      await sleep(20);
      told++;
      return name === 'retryIf' ? status === 503 : undefined;
    };
    const response = await client.post(server.url, { body, [name]: callback, timeout: 5000 });
    assert.deepEqual([response.status, await response.text(), response.attempts.length], [200, 'xxx', 2]);
    assert.equal(asked, told);
    assert.ok(asked > 0);
    assert.equal(waiting.size, 0);
  });
}

for (const name of ['retryIf', 'delay', 'beforeRetry']) {
  test(`${name} is not asked once the call is over`, async (t) => {
    const { url } = await serve(t, NO);
    let asked = 0;
    const call = client(url, { [name]: () => void asked++, timeout: 100, policy: { backoff: '1ms', maxRetries: 1000 } });
    // Its first question and its end come in one batch.
    busy(600);
    await assert.rejects(call, { kind: 'deadline' });
    assert.equal(asked, 0);
  });

  test(`${name} is not asked once the call was aborted`, async (t) => {
    const { url } = await serve(t, NO);
    let asked = 0;
    const control = new AbortController();
    const other = await serve(t, NO);
    // Both questions come in one batch: the one that is asked first aborts the other.
    const end = { [name]: () => (asked++, control.abort('now')), signal: control.signal };
    const calls = [client(url, end), client(other.url, end)].map((call) => call.catch((reason) => reason));
    busy(200);
    assert.deepEqual(await Promise.all(calls), ['now', 'now']);
    assert.equal(asked, 1);
    assert.equal(bridge.inFlight, 0);
  });

  test(`an abort while ${name} thinks, and the upload goes on, is the end`, async (t) => {
    for (const early of [false, true]) {
      const server = await serve(t, status(503, '', { read_body: !early }));
      const control = new AbortController();
      const reason = new Error('mine');
      let ended = 0;
      const body = () => ({
        [Symbol.asyncIterator]: () => {
          let left = early ? 1e9 : 3;
          return { next: async () => (await turn(), left-- > 0 ? { done: false, value: Buffer.alloc(1000) } : { done: true }), return: async () => (ended++, { done: true }) };
        },
      });
      const callback = async () => {
        await turn();
        control.abort(reason);
        await turn();
        return name === 'retryIf' ? true : undefined;
      };
      const call = client.post(server.url, { body, [name]: callback, signal: control.signal });
      await assert.rejects(call, (caught) => caught === reason);
      assert.ok(ended > 0);
      assert.deepEqual([bridge.inFlight, waiting.size], [0, 0]);
      assert.equal((await server.log()).length, 1);
    }
  });
}

for (const name of ['retryIf', 'delay', 'beforeRetry']) {
  test(`the deadline holds while ${name} never answers and a body never ends`, async (t) => {
    const { url } = await serve(t, status(503, '', { read_body: false }));
    let ended = false;
    const body = () => ({ [Symbol.asyncIterator]: () => ({ next: async () => (await turn(), { done: false, value: 'x' }), return: async () => ((ended = true), { done: true }) }) });
    const call = client.post(url, { body, [name]: () => new Promise(() => {}), timeout: 200 });
    await assert.rejects(call, { kind: 'deadline' });
    assert.equal(ended, true);
    assert.deepEqual([bridge.inFlight, waiting.size], [0, 0]);
  });
}

test('the deadline holds while a producer never answers', async (t) => {
  const { url } = await serve(t, HANG);
  for (const body of [() => new Promise(() => {}), () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: () => new Promise(() => {}) }) })]) {
    await assert.rejects(client.post(url, { body, timeout: 200 }), { kind: 'deadline' });
  }
  assert.deepEqual([bridge.inFlight, waiting.size], [0, 0]);
});

test('what a callback does after the end of its call goes nowhere', async (t) => {
  const server = await serve(t, NO);
  let over;
  const done = [];
  const late = async (attempt, request) => {
    await new Promise((resolve) => (over = resolve));
    if (request) request.headers.set('x-late', '1');
    done.push(attempt.number);
    throw new Error('late');
  };
  for (const name of ['retryIf', 'delay', 'beforeRetry']) {
    await assert.rejects(client(server.url, { [name]: late, timeout: 200 }), { kind: 'deadline' });
    over();
    while (done.length === 0) await turn();
    done.pop();
  }
  assert.equal((await client((await serve(t, DONE)).url)).status, 200);
});
