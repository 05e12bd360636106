'use strict';
// The loop of all adapters and of functions that are retried: it asks the machine, and lets others send.

const clock = require('./clock.js');
const { wrongType } = require('./errors.js');
const { className, failureOf, responseOf } = require('./failures.js');
const { isNested, within } = require('./nesting.js');
const { Policy } = require('./policy.js');
const { leave } = require('./records.js');
const { Budgets, Retry } = require('./retry.js');

const OPTIONS = ['policy', 'budgets', 'retryIf', 'delay', 'onEvent', 'nesting', 'name'];
const CALLBACKS = ['retryIf', 'delay', 'onEvent'];
/** Why a response is the result that is not worth another attempt by itself. */
const ON_ITS_OWN = new Set(['completed', 'not_retryable', 'predicate_stop']);

/** What an adapter was told. `more`: the names of options of its own. */
function optionsOf(given, who, more = []) {
  const options = given ?? {};
  const unknown = typeof options === 'object' ? Object.keys(options).filter((name) => ![...OPTIONS, ...more].includes(name)) : ['it'];
  if (unknown.length > 0) {
    throw wrongType(`${who}: ${unknown.join(', ')}: no such option; there are ${[...OPTIONS, ...more].join(', ')}; settings of a policy go into policy`);
  }
  for (const name of CALLBACKS) {
    const hook = options[name];
    if (hook !== undefined && hook !== null && typeof hook !== 'function') throw wrongType(`${name}: must be a function, got ${typeof hook}`);
  }
  isNested(options.nesting);
  return { name: who, ...options, policy: policyOver(new Policy(), options.policy), budgets: options.budgets ?? new Budgets() };
}

/** Those options with what a call says. */
function over(options, said, who) {
  if (said === undefined || said === null) return options;
  optionsOf(said, who);
  const given = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
  return { ...options, ...given, policy: policyOver(options.policy, said.policy) };
}

/** The policy of one who may say something about it. */
function policyOver(base, policy) {
  if (policy === undefined) return base;
  if (policy instanceof Policy) return policy;
  return typeof policy === 'string' ? Policy.preset(policy) : base.merge(policy);
}

/** The attempt that is under way: what the sender is told, and `currentAttempt()` gives. */
class CurrentAttempt {
  #retry;

  constructor(retry, number) {
    this.#retry = retry;
    this.number = number;
    this.retriesLeft = retry.retriesLeft;
    /** Ends with the attempt's time, or the call's; set by those who have one. */
    this.signal = null;
  }

  /** Milliseconds left of the whole call; null if it has no limit. */
  get remainingMs() {
    return this.#retry.remaining(clock.now());
  }

  /** What the policy allows this attempt, none longer than what is left. */
  get limits() {
    return this.#retry.limits(clock.now());
  }
}

/**
 * Sends until the machine says stop. A call is `{options, method, origin, headers, request, replayable(), signal}` and may have `judge(result, error)`
 * (retry, stop or nothing, before anybody is asked), `responseOf`, `failureOf`, and `read(result)`, which reads the body of a response that would be the
 * result, so that one that breaks is an outcome of its own. `send(attempt, retry)` makes an attempt, `drop(result)` frees what a retried response holds.
 */
async function loop(call, send, drop) {
  const { options, signal } = call;
  const began = clock.now();
  const retry = begin(call, began);
  try {
    for (;;) {
      const attempt = new CurrentAttempt(retry, retry.attempt(clock.now()));
      let ended = await ending(within(attempt, () => send(attempt, retry)));
      signal?.throwIfAborted();
      let verdict = classify(call, retry, ended);
      let wait = await decide(call, retry, began, verdict, ended);
      if (wait === null && call.read && !('error' in ended)) {
        const read = await ending(call.read(ended.result));
        if ('error' in read) {
          ended = read;
          const own = ON_ITS_OWN.has(retry.stopReason);
          verdict = classify(call, retry, ended);
          // A response that was given up on stays given up.
          if (own) wait = await decide(call, retry, began, verdict, ended);
        }
      }
      if (wait === null) return finish(options, retry, ended);
      tell(options, retry, 'retry');
      if (!('error' in ended)) await drop(ended.result);
      await clock.sleep(wait, signal);
    }
  } finally {
    // Of a call that is over it is nothing.
    retry.abandon();
  }
}

function begin({ options, method = 'GET', origin = '', headers, judge }, now) {
  const { policy, budgets, retryIf, nesting } = options;
  const asked = Boolean(retryIf) || judge !== undefined;
  return new Retry(policy, { method, origin, headers, budgets, asked, nested: isNested(nesting), now });
}

async function ending(promise) {
  try {
    return { result: await promise };
  } catch (error) {
    return { error };
  }
}

/** Tells the machine how an attempt ended. */
function classify(call, retry, ended) {
  const now = clock.now();
  const thing = 'error' in ended ? ended.error : ended.result;
  ended.response = (call.responseOf ?? responseOf)(thing);
  if (ended.response) return retry.classify(ended.response, Date.now(), now);
  if (!('error' in ended)) return retry.classify({ returned: true }, Date.now(), now);
  const found = (call.failureOf ?? failureOf)(thing);
  let error = found?.error;
  // A limit of theirs that was cut short by what was left of the call is that.
  if ((error === 'per_try_timeout' || error === 'connect_timeout') && retry.remaining(now) === 0) error = 'deadline';
  return retry.classify({ error, evidence: found?.evidence ?? 'unknown', errorClass: className(thing) }, Date.now(), now);
}

/** Asks whoever is to be asked, then the machine: the wait before a retry, or null. */
async function decide(call, retry, began, verdict, ended) {
  const { retryIf, delay } = call.options;
  const replayable = call.replayable?.() ?? true;
  const said = { replayable };
  const judged = call.judge?.(ended.result, ended.error);
  if (judged !== undefined) said.retry = judged;
  if (retryIf || delay) {
    const attempt = view(call, retry, began, verdict, ended);
    if (retryIf && judged === undefined && retry.isWorthAsking(replayable, clock.now())) said.opinion = await retryIf(attempt);
    const { opinion } = said;
    const retried = verdict.retry || judged === true || opinion === true;
    if (delay && retried && typeof opinion !== 'number' && opinion !== 'stop') said.backoffMs = (await delay(attempt)) ?? undefined;
  }
  return retry.decide(said, clock.now()).waitMs;
}

/** What callbacks see: as a client's, and with what its own world made. */
function view({ request }, retry, began, verdict, ended) {
  const { number, error, evidence } = retry.attempts.at(-1);
  return {
    number,
    retriesLeft: retry.retriesLeft,
    request,
    elapsedMs: clock.now() - began,
    status: ended.response?.status ?? null,
    headers: new Headers(ended.response?.headers),
    error,
    message: ended.error instanceof Error ? ended.error.message : null,
    evidence,
    hintMs: verdict.hintMs,
    verdict: verdict.retry,
    plannedWaitMs: verdict.plannedWaitMs,
    exception: ended.error,
    result: ended.result,
  };
}

/** The end of a call: the last response as it is, or the last error, each with its records. */
function finish(options, retry, ended) {
  retry.finish(clock.now());
  tell(options, retry, 'end');
  if (!('error' in ended)) {
    leave(ended.result, retry);
    return ended.result;
  }
  leave(ended.error, retry);
  throw ended.error;
}

/** Tells an observer. What it throws fails no call: it goes where uncaught errors go. */
function tell({ onEvent, name }, retry, kind) {
  if (!onEvent) return;
  const { attempts, stopReason } = retry;
  const last = attempts.at(-1);
  const ended = last?.error ?? last?.status ?? 'returned';
  const event =
    kind === 'retry'
      ? { kind, text: `${name}: attempt ${last.number} ended with ${ended}, retry in ${last.waitMs} ms`, attempt: last }
      : { kind, text: `${name}: ${attempts.length} sent, ${stopReason}`, attempts, stopReason };
  try {
    onEvent(event);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

module.exports = { loop, optionsOf, over };
