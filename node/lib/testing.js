'use strict';
// Tests of code that calls: scripted answers in place of servers, and no waiting.

const { bytesOf } = require('./body.js');
const { virtual, SCRIPT } = require('./clock.js');
const { ReknockError, shown, wrongType } = require('./errors.js');
const { guard } = require('./guard.js');
const native = require('./native.js');

/** The code that the platform's fetch has for a failure. */
const CODES = { connect: 'ECONNREFUSED', connect_timeout: 'UND_ERR_CONNECT_TIMEOUT', tls: 'CERT_HAS_EXPIRED', reset: 'ECONNRESET', refused_stream: 'ECONNRESET', protocol: 'HPE_INVALID_CONSTANT', per_try_timeout: 'UND_ERR_HEADERS_TIMEOUT' };
const STEP = ['status', 'headers', 'body', 'json', 'after', 'fail', 'method', 'url', 'ends', 'evidence'];
const OPTIONS = ['seed', 'now', 'strict'];
/** Statuses whose responses have no body. */
const BODILESS = new Set([204, 205, 304]);

/** A clock that begins at 0, and is moved. */
function standing() {
  let at = 0;
  return { now: () => at, moveTo: (ms) => void (at = Math.max(at, ms)) };
}

/** Time that leaps: by the waits before retries, and by what answers take. It stands still while code runs. */
class Time {
  #clock;
  #timers = new Set();
  #waits = [];

  constructor(clock = standing()) {
    this.#clock = clock;
    virtual.push(this);
  }

  /** The waits before retries so far, in milliseconds. */
  get waits() {
    return [...this.#waits];
  }

  now() {
    return this.#clock.now();
  }

  wait(ms) {
    this.#waits.push(ms);
    this.advance(ms);
  }

  timer(ms, fire) {
    const timer = { at: this.now() + ms, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Goes on by so many milliseconds; what is due on the way happens. */
  advance(ms) {
    const end = this.now() + ms;
    for (let next; (next = this.#next()) && next.at <= end; ) this.#fire(next);
    this.#clock.moveTo(end);
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
    this.#clock.moveTo(timer.at);
    timer.fire();
  }
}

/** The one time of a script: clients move it, and so do adapters, whose milliseconds are not rounded to what it counts in. */
function shared(script) {
  const own = standing();
  return {
    now: () => {
      own.moveTo(script.now());
      return own.now();
    },
    moveTo: (ms) => {
      own.moveTo(ms);
      script.moveTo(own.now());
    },
  };
}

/**
 * Answers in place of servers, one step per send: the first that is for it; the last one that is, again and again. While it is open it answers all clients, and
 * those that have it as `transport`; `script.fetch` is a fetch that it answers. Time leaps, also for other adapters.
 */
class Script extends Time {
  #strict;

  constructor(steps, options = {}) {
    const script = made(steps, options);
    super(shared(script));
    this.#strict = options.strict === true;
    Object.defineProperty(this, SCRIPT, { value: script });
    this.fetch = (input, init) => answer(this, script, input, init);
  }

  /** What servers would have seen so far, in order: not what fails before it is sent. */
  get sends() {
    return this[SCRIPT].sends().map(({ headers, body, ...rest }) => ({ ...rest, headers: new Headers(paired(headers)), body: body.toString() }));
  }

  /** The waits before retries so far, in milliseconds: those of adapters, then those of clients. */
  get waits() {
    return [...super.waits, ...this[SCRIPT].waits()];
  }

  /** How many steps nothing was answered with yet. */
  get remaining() {
    return this[SCRIPT].remaining();
  }

  /** The sends that no step was for, as 'GET http://service.test/'. */
  get missed() {
    return this[SCRIPT].missed();
  }

  /** It answers no longer. Throws if it is strict, and steps are left or sends had none. */
  close() {
    super.close();
    const { missed, remaining } = this;
    if (!this.#strict) return;
    this.#strict = false;
    if (missed.length > 0) throw new Error(`Script: ${missed.length} sent that no step was for, first ${missed[0]}`);
    if (remaining > 0) throw new Error(`Script: ${remaining} steps answered nothing`);
  }
}

function made(steps, options) {
  if (!Array.isArray(steps) || steps.length === 0) throw wrongType('Script: must be given a list of at least one step');
  const unknown = Object.keys(options).filter((name) => !OPTIONS.includes(name));
  if (unknown.length > 0) throw wrongType(`Script: an option is one of ${OPTIONS.join(', ')}, not ${unknown.join(', ')}`);
  const { seed = 0, now = Date.now(), strict = false } = options;
  if (!Number.isSafeInteger(seed) || seed < 0) throw wrongType(`Script: seed must be a whole number from 0 on, got ${shown(seed)}`);
  try {
    return guard(() => new native.NativeScript(steps.map(stepOf), Number(now), seed, strict === true));
  } catch (error) {
    throw error instanceof ReknockError ? wrongType(`Script: ${error.message}`) : error;
  }
}

/** A step as the addon takes it. */
function stepOf(given) {
  if (typeof given !== 'object' || given === null) return { does: given };
  const unknown = Object.keys(given).filter((name) => !STEP.includes(name));
  if (unknown.length > 0) throw wrongType(`Script: a step has ${STEP.join(', ')}, not ${unknown.join(', ')}`);
  const { status = 200, fail, headers, body, json, ...rest } = given;
  const lines = new Headers(headers);
  if (json !== undefined && !lines.has('content-type')) lines.set('content-type', 'application/json');
  const bytes = json === undefined ? body : JSON.stringify(json);
  if (bytes !== undefined && bytesOf(bytes) === undefined) throw wrongType('Script: the body of a step must be text or bytes');
  return { does: fail ?? status, headers: [...lines].flat(), body: bytes, ...rest };
}

/** What the script answers to a fetch, in its time. */
async function answer(time, script, input, init) {
  const request = new Request(input, init);
  const sent = new Uint8Array(await request.arrayBuffer());
  const { status, fail, headers, body, isCut, after } = guard(() => script.play(request.method, request.url, [...request.headers].flat(), sent));
  const { signal } = init ?? {};
  if (status === null && fail === null) return hanging(time, signal);
  if (after) time.advance(after);
  signal?.throwIfAborted();
  if (fail) throw new TypeError('fetch failed', { cause: Object.assign(new Error(`the script says ${fail}`), { code: CODES[fail] }) });
  const content = BODILESS.has(status) ? null : isCut ? cut(body) : body;
  return Object.defineProperty(new Response(content, { status, headers: paired(headers) }), 'url', { value: request.url });
}

/** Bytes, and then the failure that a lost connection is. */
function cut(bytes) {
  const pieces = bytes.length > 0 ? [new Uint8Array(bytes)] : [];
  return new ReadableStream({
    pull: (controller) => (pieces.length > 0 ? controller.enqueue(pieces.pop()) : controller.error(new TypeError('terminated', { cause: new Error('the script cut the body') }))),
  });
}

/** No answer: time leaps to the limit that ends it. */
async function hanging(time, signal) {
  while (!signal?.aborted) {
    if (!time.leap()) throw new Error('Script: a step hangs, and nothing limits it: set timeout or perTryTimeout, or abort it');
  }
  throw signal.reason;
}

function paired(list) {
  return Array.from({ length: list.length / 2 }, (_, at) => [list[at * 2], list[at * 2 + 1]]);
}

/** For adapters and functions whose own client or mock answers: nobody waits before retries. `time.waits` are those; `time.close()` ends it. */
function noWait() {
  return new Time();
}

module.exports = { noWait, Script };
