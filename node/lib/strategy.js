'use strict';
// Retries of the AWS SDK for JavaScript, version 3: its client sends and signs, the policy decides. The SDK itself is not imported.

const clock = require('./clock.js');
const { wrongType } = require('./errors.js');
const { className, failureOf, responseOf } = require('./failures.js');
const { labelOf, optionsOf, tell, watchOf, whose } = require('./loop.js');
const { isNested } = require('./nesting.js');
const { leave } = require('./records.js');
const { Retry } = require('./retry.js');

/** What the SDK says of an error that has no status and is none of the network. */
const OPINIONS = { TRANSIENT: true, THROTTLING: true };

/**
 * What a client takes as `retryStrategy`. The SDK repeats whatever operation fails, as its own strategies do: what it makes of that is idempotent or none of
 * its business, so methods are not asked for. `budgets` are kept by the name of the service.
 */
function retryStrategy(options) {
  const { retryIf, delay } = options ?? {};
  if (retryIf || delay) throw wrongType('retryStrategy: asks no callbacks: say it in the policy');
  return new Strategy(optionsOf(options, 'retryStrategy'));
}

class Strategy {
  #options;
  mode = 'reknock';

  constructor(options) {
    this.#options = options;
  }

  async acquireInitialRetryToken(scope) {
    const { policy, budgets, nesting } = this.#options;
    const nested = isNested(nesting);
    const call = { options: this.#options, origin: `${scope || labelOf(this.#options)}` };
    const retry = new Retry(policy, { method: 'POST', hasIdempotencyKey: true, origin: call.origin, budgets, asked: true, nested, now: clock.now() });
    retry.attempt(clock.now());
    return new Token(retry, call);
  }

  async refreshRetryTokenForRetry(token, { error, errorType, retryAfterHint } = {}) {
    const { retry, call } = token;
    // By the signal of its caller.
    if (error?.name === 'AbortError') {
      Retry.native(retry).giveUp('cancelled', clock.now());
      tell(call, retry, watchOf(call));
      throw error;
    }
    const opinion = this.#classify(retry, error, errorType, retryAfterHint);
    const { waitMs, stopReason } = retry.decide({ retry: opinion }, clock.now());
    if (stopReason !== null) retry.finish(clock.now());
    tell(call, retry, watchOf(call));
    if (stopReason !== null) {
      leave(error, retry, () => whose(call).native);
      throw error;
    }
    await clock.sleep(waitMs);
    retry.attempt(clock.now());
    token.retries += 1;
    return token;
  }

  recordSuccess({ retry, call }) {
    const now = clock.now();
    retry.classify({ status: 200 }, Date.now(), now);
    retry.decide({}, now);
    retry.finish(now);
    tell(call, retry, watchOf(call));
  }

  /** Tells the machine of a failure; what the SDK thinks of it, where the policy has no opinion. */
  #classify(retry, error, errorType, hint) {
    const now = clock.now();
    const response = responseOf(error?.$response) ?? statusOf(error?.$metadata);
    if (response) {
      const headers = response.headers();
      if (hint instanceof Date && !headers.some(([name]) => name.toLowerCase() === 'retry-after')) headers.push(['retry-after', hint.toUTCString()]);
      const verdict = retry.classify({ status: response.status, headers }, Date.now(), now);
      return verdict.retry || errorType !== 'THROTTLING' ? undefined : true;
    }
    const found = failureOf(error);
    retry.classify({ ...found, evidence: found?.evidence ?? 'unknown', errorClass: className(error) }, Date.now(), now);
    return found ? undefined : OPINIONS[errorType];
  }
}

/** What the SDK hands from attempt to attempt. */
class Token {
  retries = 0;

  constructor(retry, call) {
    Object.defineProperties(this, { retry: { value: retry }, call: { value: call } });
  }

  getRetryCount() {
    return this.retries;
  }

  /** It was slept already. */
  getRetryDelay() {
    return 0;
  }

  getRetryCost() {
    return 0;
  }
}

function statusOf(metadata) {
  return Number.isInteger(metadata?.httpStatusCode) ? { status: metadata.httpStatusCode, headers: () => [] } : undefined;
}

module.exports = { retryStrategy };
