'use strict';
// What logs show of errors and of events: pino as most have it, and util.inspect.

const assert = require('node:assert/strict');
const { channel } = require('node:diagnostics_channel');
const { test } = require('node:test');
const { inspect } = require('node:util');
const pino = require('pino');
const { createClient } = require('..');
const { serve, DONE, FAST, NO } = require('./support/server.js');

/** A logger, and the lines that it wrote. */
function logger(options) {
  const lines = [];
  return { log: pino({ base: null, timestamp: false, level: 'debug', ...options }, { write: (line) => lines.push(JSON.parse(line)) }), lines };
}

/** What calls of both forms fail with, where nobody listens. */
async function failures(t) {
  const { url } = await serve(t, { do: 'refused' });
  const client = createClient({ policy: { ...FAST, maxRetries: 1 } });
  const to = `${url.replace('://', '://me:hidden@')}/orders?key=hidden`;
  const failed = (call) => call(to, { name: 'orders.get' }).then(assert.fail, (error) => error);
  return [`${url}/orders?key=...`, [await failed(client), await failed(client.request)]];
}

test("pino's own serialiser shows whose call failed and what was sent; with causes, the system's code", async (t) => {
  const [url, errors] = await failures(t);
  for (const error of errors) {
    const { log, lines } = logger();
    log.error(error);
    const [{ err }] = lines;
    const { kind, code, method, url: to, callId, callName, stopReason, attempts } = err;
    assert.deepEqual([kind, code, method, to, callName, stopReason], ['connect', 'REKNOCK_CONNECT', 'GET', url, 'orders.get', 'retries_exhausted']);
    assert.equal(callId, error.callId);
    assert.deepEqual(attempts.map(({ number, error: what, waitMs }) => [number, what, waitMs]), [[1, 'connect', 10], [2, 'connect', null]]);
    assert.match(err.message, /connection refused .* after 2 attempts in .* \(retries_exhausted\)/);
    const whole = logger({ serializers: { err: pino.stdSerializers.errWithCause } });
    whole.log.error(error);
    assert.equal(whole.lines[0].err.cause.code, 'ECONNREFUSED');
    assert.doesNotMatch(JSON.stringify([lines, whole.lines]), /hidden/);
  }
});

test('inspect shows the same once, an attempt a line', async (t) => {
  const [url, errors] = await failures(t);
  for (const error of errors) {
    const shown = inspect(error);
    for (const said of [`method: 'GET'`, `url: '${url}'`, `callId: ${error.callId}`, `callName: 'orders.get'`, `stopReason: 'retries_exhausted'`, `code: 'REKNOCK_CONNECT'`]) {
      assert.equal(shown.split(said).length, 2, `${said} in ${shown}`);
    }
    assert.match(shown, /attempts: \[ '#1 connect after \d+ms, waits 10ms', '#2 connect after \d+ms' \]/);
    assert.match(shown, /code: 'ECONNREFUSED'/);
    assert.doesNotMatch(shown, /hidden/);
  }
});

test('events are the log: a line with its level and its fields', async (t) => {
  const { log, lines } = logger();
  const LEVELS = { debug: 'debug', info: 'info', warning: 'warn' };
  const write = ({ level, text, ...fields }) => log[LEVELS[level]](fields, text);
  const { url } = await serve(t, NO, DONE, NO);
  const client = createClient({ policy: { backoff: '10ms', maxRetries: 1 }, onEvent: write });
  await client(`${url}/orders?key=hidden`, { name: 'orders.get' });
  // Of the whole process.
  channel('reknock:event').subscribe(write);
  t.after(() => channel('reknock:event').unsubscribe(write));
  await createClient({ policy: { budget: { ratio: 0, minPerSecond: 0 } } })(`${url}/orders?key=hidden`);
  const told = lines.filter(({ level }) => level > 20).map(({ level, kind, call, reason, stopReason, attempt }) => [level, kind, call.name, reason ?? stopReason, attempt?.waitMs ?? null]);
  assert.deepEqual(told, [
    [30, 'retry', 'orders.get', '503', 10],
    [40, 'notice', null, 'budget_refused', null],
    [40, 'end', null, 'budget_exhausted', null],
  ]);
  assert.match(lines[2].msg, new RegExp(`^GET ${url}/orders\\?key=...: retry 1 in 10ms, because of 503$`));
  assert.doesNotMatch(JSON.stringify(lines), /hidden/);
  // A call is told from others by its number.
  assert.equal(new Set(lines.map(({ call }) => call.callId)).size, 2);
});
