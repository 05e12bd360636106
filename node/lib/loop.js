'use strict';
// The loop of all adapters and of functions that are retried: it asks the machine, and lets others send.

const { Watch } = require('./channels.js');
const clock = require('./clock.js');
const { wrongType } = require('./errors.js');
const { className, failureOf, responseOf } = require('./failures.js');
const { identityOf } = require('./identity.js');
const { isNested, within } = require('./nesting.js');
const { Policy } = require('./policy.js');
const { leave } = require('./records.js');
const { Budgets, Retry } = require('./retry.js');

const OPTIONS = ['policy', 'budgets', 'retryIf', 'delay', 'onEvent', 'nesting', 'name'];
const CALLBACKS = ['retryIf', 'delay', 'onEvent'];

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
  const { name } = options;
  if (name !== undefined && name !== null && typeof name !== 'string' && typeof name !== 'function') {
    throw wrongType(`name: must be a text, or a function of method and URL, got ${typeof name}`);
  }
  isNested(options.nesting);
  return { ...options, name: name ?? undefined, who, policy: policyOver(new Policy(), options.policy), budgets: options.budgets ?? new Budgets() };
}

/** What stands for the origin of a call that has none. */
function labelOf({ name, who }) {
  return typeof name === 'string' ? name : who;
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
  return base.merge(policy);
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
 * (retry, stop or nothing, before anybody is asked), `responseOf`, which gives `{status, headers()}`, and `failureOf`. Of a request
 * there is a `url`, and `takesFields` if header fields can be added to an attempt.
 * `send(attempt, lines, retry)` makes an attempt with these header lines besides, `drop(result)` frees what a retried response holds.
 */
async function loop(call, send, drop) {
  const watch = watchOf(call);
  return watch === null ? run(call, send, drop, null) : watch.call(() => run(call, send, drop, watch));
}

async function run(call, send, drop, watch) {
  const { options, signal } = call;
  const began = clock.now();
  const retry = begin(call, began);
  let over = false;
  /** How the attempt ended that is under way, once that is known. */
  let ended;
  try {
    for (;;) {
      ended = undefined;
      const attempt = new CurrentAttempt(retry, retry.attempt(clock.now()));
      const made = (fields) => within(attempt, () => send(attempt, [...linesOf(retry), ...Object.entries(fields ?? {})], retry));
      const came = await ending(watch === null ? made(null) : watch.attempt(retry.attempts.at(-1), call.takesFields === true, made));
      signal?.throwIfAborted();
      ended = came;
      const verdict = classify(call, retry, ended);
      const wait = await decide(call, retry, began, verdict, ended);
      watch?.ended(retry.attempts.at(-1), ended.error);
      if (wait === null) {
        over = true;
        return finish(call, retry, ended, watch);
      }
      tell(call, retry, watch);
      if (!('error' in ended)) await drop(ended.result);
      await clock.sleep(wait, signal);
    }
  } catch (error) {
    if (!over) giveUp(call, retry, error, ended, watch);
    throw error;
  }
}

function begin({ options, method = 'GET', origin = '', headers, judge }, now) {
  const { policy, budgets, retryIf, nesting } = options;
  const asked = Boolean(retryIf) || judge !== undefined;
  return new Retry(policy, { method, origin, headers, budgets, asked, nested: isNested(nesting), now });
}

/** The header fields that the policy puts on an attempt. There seldom is one. */
function linesOf(retry) {
  return Retry.native(retry).headers.length === 0 ? [] : [...retry.headers];
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
  if (ended.response) {
    const verdict = retry.classify(ended.response, Date.now(), now);
    if (ended.response.followed) retry.followed();
    return verdict;
  }
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
function view(call, retry, began, verdict, ended) {
  const { number, error, evidence } = retry.attempts.at(-1);
  return {
    call: whose(call).shown,
    number,
    retriesLeft: retry.retriesLeft,
    request: call.request,
    elapsedMs: clock.now() - began,
    status: ended.response?.status ?? null,
    headers: new Headers(ended.response?.headers()),
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
function finish(call, retry, ended, watch) {
  retry.finish(clock.now());
  tell(call, retry, watch);
  if (!('error' in ended)) {
    leave(ended.result, retry, () => whose(call).native);
    return ended.result;
  }
  leave(ended.error, retry, () => whose(call).native);
  throw ended.error;
}

/** What is neither the result of an attempt nor its failure ends the call: its signal, or a callback that failed. */
function giveUp(call, retry, error, ended, watch) {
  const cancelled = call.signal?.aborted === true;
  Retry.native(retry).giveUp(cancelled ? 'cancelled' : 'callback', clock.now());
  watch?.ended(retry.attempts.at(-1), ended === undefined ? error : ended.error);
  tell(call, retry, watch);
  if (!cancelled) leave(error, retry, () => whose(call).native);
}

/** Whose call it is: worked out once, when somebody wants to know. */
function whose(call) {
  return (call.identity ??= identityOf(call));
}

/** Who watches the call; null is nobody. */
function watchOf(call) {
  const { policy, budgets } = call.options;
  return Watch.of(() => [whose(call).shown, { holder: budgets, reading: (held, origin) => held.reading(policy, origin) }, true]);
}

/** Tells observers of the retry that was decided, or of the end. What they throw fails no call: it goes where uncaught errors go. */
function tell(call, retry, watch) {
  const { onEvent } = call.options;
  if (!onEvent && watch === null) return;
  const [native, whom] = [Retry.native(retry), whose(call).native];
  for (const event of [...native.notices(whom), native.event(whom, clock.now())]) {
    try {
      if (watch === null) onEvent(event);
      else watch.told(event, onEvent);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

module.exports = { labelOf, loop, optionsOf, over, tell, watchOf, whose };
