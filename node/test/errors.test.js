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
