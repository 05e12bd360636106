'use strict';

const { guard } = require('./guard.js');
const { flat } = require('./input.js');
const native = require('./native.js');
const { Policy } = require('./policy.js');

/** Retry budgets that calls share: keep one beside each client of your own. */
class Budgets {
  #native = new native.NativeBudgets();

  /** What the budget of a policy has for an origin; null if no call used it yet. */
  reading(policy, origin, now = performance.now()) {
    return guard(() => this.#native.reading(Policy.native(policy), origin, now));
  }

  static native(budgets) {
    return budgets?.#native;
  }
}

/**
 * One call on its way, decided step by step, for those who keep an HTTP client of their own: it sends nothing and waits for nothing.
 * Per attempt: `attempt()`, your send, `classify(outcome)`, `decide()`, which says to wait and go on, or why not; at the end `finish()`.
 */
class Retry {
  #native;

  constructor(policy, options) {
    const { method = 'GET', origin = '', budgets, hasIdempotencyKey = false, asked = false, seed = 0, now = performance.now() } = options ?? {};
    const own = Policy.native(policy instanceof Policy ? policy : new Policy(policy));
    const shared = Budgets.native(budgets);
    this.#native = guard(() => new native.NativeRetry(own, shared, method, origin, hasIdempotencyKey, asked, seed, now));
  }

  /** A redirect is followed: the next attempt goes elsewhere, counts in the budget of that origin, and is no retry. */
  redirect(hop, now = performance.now()) {
    const { method, origin = '', hasIdempotencyKey = false } = hop ?? {};
    guard(() => this.#native.redirect(method, origin, hasIdempotencyKey, now));
  }

  /** The next attempt is about to be sent; its number. */
  attempt(now = performance.now()) {
    return guard(() => this.#native.attempt(now));
  }

  /** What the policy thinks of `{status, headers}`, or of a failure: `{error, evidence, local}`. */
  classify(outcome, wall = Date.now()) {
    const { status, headers, error, evidence = 'unknown', local = false } = outcome ?? {};
    const verdict = guard(() => this.#native.classify(status, flat(headers, 'headers'), error, evidence, local, wall));
    return { ...verdict, hintMs: verdict.hintMs ?? null, plannedWaitMs: verdict.plannedWaitMs ?? null };
  }

  /** What happens next: `{waitMs, stopReason}`, one of them null. */
  decide(answer, now = performance.now()) {
    const { retry, waitMs, backoffMs, replayable = true } = answer ?? {};
    const decision = guard(() => this.#native.decide(retry, waitMs, backoffMs, replayable, now));
    return { waitMs: decision.waitMs ?? null, stopReason: decision.stopReason ?? null };
  }

  /** The call is over and its outcome goes to whoever made it. */
  finish(now = performance.now()) {
    guard(() => this.#native.finish(now));
  }

  /** The call is given up: what it holds of its budget is given back. */
  abandon() {
    this.#native.abandon();
  }
}

module.exports = { Budgets, Retry };
