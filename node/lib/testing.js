'use strict';
// Tests of code that retries: scripted answers in place of servers, and no waiting.

const { virtual } = require('./clock.js');
const { shown, wrongType } = require('./errors.js');

/** What failures are called, and the code that the platform's fetch has for each. */
const FAILURES = { connect: 'ECONNREFUSED', connect_timeout: 'UND_ERR_CONNECT_TIMEOUT', tls: 'CERT_HAS_EXPIRED', reset: 'ECONNRESET', protocol: 'HPE_INVALID_CONSTANT', per_try_timeout: 'UND_ERR_HEADERS_TIMEOUT' };
const STEP = ['status', 'headers', 'body', 'after', 'fail'];

/** Time that leaps: by the waits before retries, and by what answers take. It stands still while code runs. */
class Time {
  #now = 0;
  #timers = new Set();
  #waits = [];

  constructor() {
    virtual.push(this);
  }

  /** The waits before retries so far, in milliseconds. */
  get waits() {
    return [...this.#waits];
  }

  now() {
    return this.#now;
  }

  wait(ms) {
    this.#waits.push(ms);
    this.advance(ms);
  }

  timer(ms, fire) {
    const timer = { at: this.#now + ms, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Goes on by so many milliseconds; what is due on the way happens. */
  advance(ms) {
    const end = this.#now + ms;
    for (let next; (next = this.#next()) && next.at <= end; ) this.#fire(next);
    this.#now = end;
  }

  /** Goes on to what is due next; false if nothing is. */
  leap() {
    const next = this.#next();
    if (next) this.#fire(next);
    return next !== undefined;
  }

  /** From now on time is the host's again. */
  close() {
    const at = virtual.indexOf(this);
    if (at >= 0) virtual.splice(at, 1);
  }

  [Symbol.dispose ?? Symbol.for('nodejs.dispose')]() {
    this.close();
  }

  #next() {
    return [...this.#timers].sort((a, b) => a.at - b.at)[0];
  }

  #fire(timer) {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.fire();
  }
}

/**
 * Answers in order, the last one again and again: a status, the kind of a failure, 'hang' for no answer until a limit ends the attempt, or
 * `{status, headers, body, after, fail}`. `script.fetch` is a fetch that gives them. Time leaps while it is open, also for other adapters.
 */
class Script extends Time {
  #steps;
  #sends = [];

  constructor(steps) {
    if (!Array.isArray(steps) || steps.length === 0) throw wrongType('Script: must be given a list of at least one step');
    const read = steps.map(stepOf);
    super();
    this.#steps = read;
    this.fetch = (input, init) => this.#answer(input, init);
  }

  /** What was sent so far: `{method, url, headers, body}`. */
  get sends() {
    return [...this.#sends];
  }

  async #answer(input, init) {
    const request = new Request(input, init);
    const { method, url, headers } = request;
    const at = this.#sends.length;
    const send = { method, url, headers, body: '' };
    this.#sends.push(send);
    send.body = await request.text();
    const step = this.#steps[Math.min(at, this.#steps.length - 1)];
    const { signal } = init ?? {};
    if (step.hang) return hanging(this, signal);
    if (step.after) this.advance(step.after);
    signal?.throwIfAborted();
    if (step.fail) throw new TypeError('fetch failed', { cause: Object.assign(new Error(`the script says ${step.fail}`), { code: FAILURES[step.fail] }) });
    const body = step.status === 204 || step.status === 205 || step.status === 304 ? null : step.body;
    return Object.defineProperty(new Response(body, { status: step.status, headers: step.headers }), 'url', { value: url });
  }
}

/** No answer: time leaps to the limit that ends it. */
async function hanging(time, signal) {
  while (!signal?.aborted) {
    if (!time.leap()) throw new Error('Script: a step hangs, and nothing limits it: set timeout or perTryTimeout, or abort it');
  }
  throw signal.reason;
}

function stepOf(given) {
  if (given === 'hang') return { hang: true };
  if (typeof given === 'string') return stepOf({ fail: given });
  if (typeof given === 'number') return stepOf({ status: given });
  const unknown = Object.keys(given ?? { nothing: 1 }).filter((name) => !STEP.includes(name));
  if (unknown.length > 0) throw wrongType(`Script: a step has ${STEP.join(', ')}, not ${unknown.join(', ')}`);
  const { status = 200, headers, body = '', after = 0, fail } = given;
  if (fail !== undefined && !(fail in FAILURES)) throw wrongType(`Script: a failure is one of ${Object.keys(FAILURES).join(', ')}, got ${shown(fail)}`);
  if (!Number.isInteger(status) || status < 200 || status > 599) throw wrongType(`Script: a status is 200..=599, got ${status}`);
  return { status, headers, body, after, fail };
}

/** For adapters and functions whose own client or mock answers: nobody waits before retries. `time.waits` are those; `time.close()` ends it. */
function noWait() {
  return new Time();
}

module.exports = { noWait, Script };
