'use strict';

const { monotonicNow } = require('./clock.js');
const { guard } = require('./guard.js');
const { flat } = require('./input.js');
const native = require('./native.js');
const { Policy } = require('./policy.js');

/** Retry budgets that calls share: keep one beside each client of your own. */
class Budgets {
  #native;

  /** `budgetDir`, `shareRequired`: as of a Client. */
  constructor(options) {
    this.#native = guard(() => new native.NativeBudgets(options ?? {}));
  }

  /** What the budget of a policy has for an origin; null if no call used it yet. */
  reading(policy, origin, now = monotonicNow()) {
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
    const { method = 'GET', origin = '', headers, budgets, hasIdempotencyKey = false, asked = false, nested = false } = options ?? {};
    const { seed = 0, now = monotonicNow() } = options ?? {};
    const own = Policy.native(policy instanceof Policy ? policy : new Policy(policy));
    const shared = Budgets.native(budgets);
    const lines = flat(headers, 'headers');
    this.#native = guard(() => new native.NativeRetry(own, shared, method, origin, lines, hasIdempotencyKey, asked, nested, seed, now));
  }

  /** A redirect is followed: the next attempt goes elsewhere, counts in the budget of that origin, and is no retry. */
  redirect(hop, now = monotonicNow()) {
    const { method, origin = '', headers, hasIdempotencyKey = false } = hop ?? {};
    guard(() => this.#native.redirect(method, origin, flat(headers, 'headers'), hasIdempotencyKey, now));
  }

  /** The next attempt is about to be sent; its number. */
  attempt(now = monotonicNow()) {
    return guard(() => this.#native.attempt(now));
  }

  /** What the policy thinks of `{status, headers}`, where headers may be a function that is called only if they are looked at, of a failure: `{error, evidence, errorClass, local}`, or of what gave a value: `{returned: true}`. */
  classify(outcome, wall = Date.now(), now = monotonicNow()) {
    const { status, headers, error, evidence = 'unknown', errorClass, local = false, returned = false } = outcome ?? {};
    const unread = typeof headers === 'function' && typeof status === 'number' && !this.#native.readsFields(status);
    const lines = unread ? [] : flat(typeof headers === 'function' ? headers() : headers, 'headers');
    const verdict = guard(() => this.#native.classify(status, lines, error, errorClass, evidence, local, returned, wall, now));
    return { ...verdict, hintMs: verdict.hintMs ?? null, plannedWaitMs: verdict.plannedWaitMs ?? null };
  }

  /** What was classified last came after redirects that the client followed by itself: what it proves says nothing of the requests that were redirected. */
  followed() {
    guard(() => this.#native.followed());
  }

  /** Whether a `retryIf` is to be asked about the outcome that was classified last. */
  isWorthAsking(replayable = true, now = monotonicNow()) {
    return guard(() => this.#native.isWorthAsking(replayable, now));
  }

  /** What happens next: `{waitMs, stopReason}`, one of them null. */
  decide(answer, now = monotonicNow()) {
    const { opinion, retry, waitMs, backoffMs, replayable = true } = answer ?? {};
    const decision = guard(() => this.#native.decide(opinion, retry, waitMs, backoffMs, replayable, now));
    return { waitMs: decision.waitMs ?? null, stopReason: decision.stopReason ?? null };
  }

  /** The limits of an attempt that is made now, in milliseconds: null is none. Null if the call is over. */
  limits(now = monotonicNow()) {
    const limits = guard(() => this.#native.limits(now));
    if (!limits) return null;
    const { connectTimeout = null, perTryTimeout = null, idleTimeout = null, remaining = null } = limits;
    return { connectTimeout, perTryTimeout, idleTimeout, remaining };
  }

  /** Milliseconds left of the call; null if it has no limit or is over. */
  remaining(now = monotonicNow()) {
    return this.limits(now)?.remaining ?? null;
  }

  /** The moment at which the call's time is over, as `now` counts; null if it has no limit or is over. */
  get deadline() {
    return this.#native.deadline ?? null;
  }

  /** Retries that may still be made; 0 if the call is over. */
  get retriesLeft() {
    return this.#native.retriesLeft;
  }

  /** The largest one-shot body, in bytes, that is to be kept so that it can be sent again; 0 if the call is over. */
  get maxBodyBuffer() {
    return this.#native.maxBodyBuffer;
  }

  /** The header fields that the policy puts on the attempt under way, in place of the request's own of the same name. */
  get headers() {
    return new Headers(this.#native.headers);
  }

  /** What was sent, in order; when the call is over, too. */
  get attempts() {
    return this.#native.attempts;
  }

  /** Why nothing further was sent; null before that is decided. */
  get stopReason() {
    return this.#native.stopReason ?? null;
  }

  static native(retry) {
    return retry.#native;
  }

  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain() {
    return this.#native.explain();
  }

  /** The call is over and its outcome goes to whoever made it. */
  finish(now = monotonicNow()) {
    guard(() => this.#native.finish(now));
  }

  /** The call is given up: what it holds of its budget is given back. */
  abandon() {
    this.#native.abandon();
  }
}

module.exports = { Budgets, Retry };
