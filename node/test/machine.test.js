'use strict';
// The shared vectors of the decision machine: the same decisions, waits, hints and balances as on every other surface.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Budgets, Policy, ReknockError, Retry } = require('../index.js');
const { vectors } = require('./support/vectors.js');

/** 2026-11-22T12:00:00Z */
const NOW = 1_795_348_800_000;

/** Steps of several calls that share budgets. */
class Stage {
  #policy;
  #budgets = new Budgets();
  #calls = new Map();

  constructor(policy) {
    this.#policy = new Policy(policy);
  }

  take(step) {
    const { call: name = 'a' } = step;
    if (!this.#calls.has(name)) this.#calls.set(name, this.#begin(step));
    const { retry, origin, replayable } = this.#calls.get(name);
    if (step.end) {
      if (step.sent) retry.attempt(step.at);
      this.#calls.delete(name);
      if (step.end === 'finish') retry.finish(step.at);
      else retry.abandon();
    } else {
      retry.attempt(step.at);
      const { status, headers, failure: error, evidence } = step.outcome;
      retry.classify(error ? { error, evidence } : { status, headers }, NOW);
      const { retry: yes, wait: waitMs, backoff: backoffMs } = step.answer ?? {};
      const decision = retry.decide({ retry: yes, waitMs, backoffMs, replayable }, step.at);
      assert.deepEqual(decision, typeof step.then === 'number' ? { waitMs: step.then, stopReason: null } : { waitMs: null, stopReason: step.then });
    }
    if ('balance' in step) assert.equal(this.#balance(origin, step.at), step.balance);
  }

  #begin({ at, begin = at, method, origin = 'http://a', key, asked, replayable = true }) {
    const options = { method, origin, budgets: this.#budgets, hasIdempotencyKey: key === true, asked: asked === true, now: begin };
    return { retry: new Retry(this.#policy, options), origin, replayable };
  }

  /** A budget that was found but not used is as good as none. */
  #balance(origin, at) {
    return this.#policy.toJSON().max_retries > 0 ? (this.#budgets.reading(this.#policy, origin, at)?.balance ?? null) : null;
  }
}

const { cases } = vectors('decide');
for (const { name, policy, steps } of cases) {
  test(`decide: ${name}`, () => {
    const stage = new Stage(policy);
    for (const step of steps) stage.take(step);
  });
}

const hints = vectors('retry_after').cases;
for (const { headers, config, hint_ms: wanted } of hints) {
  test(`hints: ${JSON.stringify(headers)}`, () => {
    const retry = new Retry({ statuses: [503], retryAfter: { spread: 0, max: 'none', ...config } });
    const { hintMs } = retry.classify({ status: 503, headers }, NOW);
    if (typeof wanted === 'string') assert.ok(hintMs > 2 ** 43, `${hintMs}`);
    else assert.equal(hintMs, wanted);
  });
}

// Stepped by calls: one that succeeds deposits, one that is retried withdraws.
for (const { name, ttl_s: ttl, min_per_second: minPerSecond, ratio, steps } of vectors('budget').cases) {
  test(`budget: ${name}`, () => {
    const budget = { ratio, minPerSecond, ttl: `${ttl}s`, depositOn: 'success' };
    const policy = new Policy({ timeout: 'none', backoff: { kind: 'constant', delay: '1ms' }, budget });
    const budgets = new Budgets();
    for (const { t, deposit = 0, withdraw = 0, granted = 0, balance } of steps) {
      const now = t * 1000;
      const call = (status) => called(policy, { budgets, origin: 'http://a', now }, status);
      for (let n = 0; n < deposit; n += 1) assert.equal(call(200), 'completed');
      const reasons = Array.from({ length: withdraw }, () => call(503));
      assert.equal(reasons.filter((reason) => reason === null).length, granted);
      if (balance !== undefined) assert.equal(reading(policy, budgets, now).balance, balance);
    }
  });
}

/** Makes a call whose first attempt is answered so, and a retry if it may; why there was none. */
function called(policy, options, status) {
  const retry = new Retry(policy, options);
  retry.attempt(options.now);
  retry.classify({ status }, NOW);
  const { stopReason } = retry.decide({}, options.now);
  if (stopReason === null) retry.attempt(options.now);
  retry.finish(options.now);
  return stopReason;
}

/** A budget is made by the first call; one that is given up at once leaves no trace. */
function reading(policy, budgets, now) {
  new Retry(policy, { budgets, origin: 'http://a', now }).abandon();
  return budgets.reading(policy, 'http://a', now);
}

test('a call that is over, or not yet classified, decides nothing', () => {
  const retry = new Retry();
  retry.attempt();
  assert.throws(() => retry.decide(), /classify an outcome/);
  assert.throws(() => retry.decide({ waitMs: -1 }), ReknockError);
  retry.finish();
  assert.throws(() => retry.attempt(), /over/);
});

test('no case is lost', () => {
  assert.deepEqual([cases.length, hints.length], [85, 24]);
});
