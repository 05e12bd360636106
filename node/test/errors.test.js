'use strict';
// The one error class. No network.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { inspect } = require('node:util');
const { fromNative, ReknockError } = require('../lib/errors.js');

test('has what the core says', () => {
  const attempts = [{ number: 1, error: 'per_try_timeout' }];
  const error = fromNative({
    kind: 'per_try_timeout',
    message: 'too slow',
    status: null,
    attempts,
    stopReason: 'retries_exhausted',
    explain: '#1\n',
    cause: 'the reason below',
  });
  assert.ok(error instanceof ReknockError && error instanceof Error);
  assert.equal(error.name, 'ReknockError');
  assert.equal(error.message, 'too slow');
  assert.equal(error.kind, 'per_try_timeout');
  assert.equal(error.code, 'REKNOCK_PER_TRY_TIMEOUT');
  assert.deepEqual(error.attempts, attempts);
  assert.ok(Object.isFrozen(error.attempts));
  assert.equal(error.stopReason, 'retries_exhausted');
  assert.equal(error.explain(), '#1\n');
  assert.ok(error.cause instanceof Error);
  assert.equal(error.cause.message, 'the reason below');
  assert.ok(!('status' in error));
  assert.match(error.stack, /^ReknockError: too slow\n/);
  assert.match(inspect(error), /code: 'REKNOCK_PER_TRY_TIMEOUT'/);
});

test('says whose call it is, to people and to loggers', () => {
  const attempts = [{ number: 1, status: 503, error: null, durationMs: 2.4, waitMs: 10 }, { number: 2, status: null, error: 'reset', durationMs: 7, waitMs: null }];
  const call = { callId: 7, method: 'GET', url: 'http://host/orders', origin: 'http://host', name: 'orders.get' };
  const error = fromNative({ kind: 'reset', message: 'gone', attempts, stopReason: 'retries_exhausted', call });
  assert.deepEqual([error.name, error.callId, error.method, error.url, error.callName], ['ReknockError', 7, 'GET', 'http://host/orders', 'orders.get']);
  const shown = inspect(error);
  for (const part of ["url: 'http://host/orders'", 'callId: 7', "'#1 503 after 2ms, waits 10ms'", "'#2 reset after 7ms'"]) assert.ok(shown.includes(part), shown);
  // As pino's serialiser does it: what can be enumerated.
  const logged = JSON.parse(JSON.stringify({ ...error }));
  assert.deepEqual([logged.method, logged.callId, logged.attempts[1].error], ['GET', 7, 'reset']);
});

test('has defaults where nothing was tried', () => {
  const error = fromNative({ kind: 'config', message: 'x' });
  assert.deepEqual(error.attempts, []);
  assert.equal(error.stopReason, null);
  assert.equal(error.explain(), '');
  assert.ok(!('cause' in error));
});

test('keeps the status of a body that failed, and an error as its cause', () => {
  const cause = new TypeError('mine');
  const error = fromNative({ kind: 'body', message: 'cut', status: 200, cause });
  assert.equal(error.status, 200);
  assert.equal(error.cause, cause);
});
