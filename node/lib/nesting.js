'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { guard } = require('./guard.js');
const native = require('./native.js');

/** The attempt of a retrying loop that is under way where this is asked: `{active}`. */
const attempts = new AsyncLocalStorage();

/** The attempt of an adapter or of a function that is retried, if one is under way here; not in what outlives it. */
function currentAttempt() {
  const attempt = attempts.getStore();
  return attempt?.active ? attempt : undefined;
}

/** Whether a call that is made here is part of an attempt of another one that retries. `nesting`: what its options say. */
function isNested(nesting) {
  const allowed = nesting !== undefined && guard(() => native.allowsNesting(nesting));
  return !allowed && currentAttempt() !== undefined;
}

/** Runs `send` as an attempt: what it calls is nested in it until it is over. */
async function within(attempt, send) {
  attempt.active = true;
  try {
    return await attempts.run(attempt, send);
  } finally {
    attempt.active = false;
  }
}

module.exports = { currentAttempt, isNested, within };
