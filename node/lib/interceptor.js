'use strict';
// Retries as an interceptor of undici 6, 7 and 8: its dispatcher sends, the policy decides. undici itself is not imported. Handlers have one of two shapes:
// that of undici 6 (`onConnect`, `onHeaders`, ...), or that of 7 and 8 (`onRequestStart`, `onResponseStart`, ...); what is dispatched has the shape of what came.

const { failureOf, fields } = require('./failures.js');
const { limited } = require('./limits.js');
const { labelOf, loop, optionsOf } = require('./loop.js');
const { Recorded } = require('./recorded.js');

/** The most of a dropped response that is let come, so that its connection can be used again. */
const DRAIN = 64 * 1024;
/** What a failure before anything was written can be. */
const BEFORE = new Set(['connect', 'connect_timeout', 'tls', 'invalid_request']);
/** What handlers may be told besides: it is passed on as it is. */
const ASIDE = ['onRequestSent', 'onBodySent', 'onResponseStarted'];

/** An interceptor for `dispatcher.compose`: what it dispatches is retried under a policy. */
function retryInterceptor(options) {
  const own = optionsOf(options, 'retryInterceptor');
  return (dispatch) =>
    function retrying(given, handler) {
      // A tunnel and another protocol are no call.
      if (given.upgrade || given.method === 'CONNECT') return dispatch(given, handler);
      return new Exchange(own, dispatch, given, handler).start();
    };
}

/** One request of a dispatcher's caller, over all attempts. */
class Exchange {
  #options;
  #dispatch;
  #given;
  #handler;
  #body;
  /** The attempt whose response goes to the handler, or that may yet be it. */
  #current = null;
  #control = new AbortController();
  #stable = null;
  #paused = false;
  #returned = true;

  constructor(options, dispatch, given, handler) {
    this.#options = options;
    this.#dispatch = dispatch;
    this.#given = given;
    this.#handler = handler;
    this.#body = Recorded.of(given.body);
  }

  /** Sends the first attempt; what the dispatcher says of it. */
  start() {
    const { method, origin, path, headers } = this.#given;
    const url = `${origin ?? ''}${path}`;
    let shown;
    const call = {
      options: this.#options,
      method: method ?? 'GET',
      url,
      origin: `${origin ?? labelOf(this.#options)}`,
      headers: linesOf(headers),
      takesFields: true,
      get request() {
        return (shown ??= { method, url, headers: new Headers(linesOf(headers)) });
      },
      signal: this.#control.signal,
      replayable: () => this.#body?.replayable ?? true,
      responseOf: (ended) => (ended instanceof Attempt ? ended.response : undefined),
      failureOf: (error) => this.#failure(error),
    };
    const done = loop(call, (...made) => this.#send(...made), (head) => head.drop());
    done.then((head) => head.commit(), (error) => this.#fail(error));
    return this.#returned;
  }

  #send(attempt, lines, retry) {
    this.#body?.begin(retry.maxBodyBuffer);
    const one = (this.#current = new Attempt(this, this.#handler));
    const headers = lines.length === 0 ? this.#given.headers : merged(linesOf(this.#given.headers), lines);
    return limited(attempt, this.#control.signal, () => {
      attempt.signal.addEventListener('abort', () => one.abort(attempt.signal.reason), { once: true });
      this.#returned = this.#dispatch({ ...this.#given, headers, body: this.#body ? this.#body.pass() : this.#given.body }, one.handler);
      return one.head;
    });
  }

  /** Errors before the connection was there prove that nothing was sent; those after it prove nothing. */
  #failure(error) {
    const found = failureOf(error);
    if (this.#current.began) return found && { ...found, evidence: 'unknown' };
    return BEFORE.has(found?.error) ? found : { error: 'connect', evidence: 'not_sent' };
  }

  #fail(error) {
    if (this.#handler.onResponseError) this.#handler.onResponseError(this.#stable ?? undefined, error);
    else this.#handler.onError(error);
  }

  /** The first attempt has a connection: the handler is told once, and gets a controller that outlives attempts. */
  started(one, context) {
    if (this.#stable) return;
    const exchange = this;
    this.#stable = {
      abort: (reason) => exchange.#control.abort(reason ?? new DOMException('This operation was aborted', 'AbortError')),
      pause: () => exchange.#pause(true),
      resume: () => exchange.#pause(false),
      get paused() { return exchange.#paused; },
      get aborted() { return exchange.#control.signal.aborted; },
      get reason() { return exchange.#control.signal.reason ?? null; },
      get rawHeaders() { return exchange.#current.controller?.rawHeaders; },
      get rawTrailers() { return exchange.#current.controller?.rawTrailers; },
    };
    if (this.#handler.onRequestStart) this.#handler.onRequestStart(this.#stable, context);
    else this.#handler.onConnect?.(this.#stable.abort, context);
  }

  #pause(paused) {
    this.#paused = paused;
    if (!this.#current?.committed) return;
    if (paused) this.#current.controller.pause();
    else this.#current.controller.resume();
  }

  get stable() {
    return this.#stable;
  }

  get paused() {
    return this.#paused;
  }
}

/** One attempt: holds what comes until it is known whether its response is the result. */
class Attempt {
  #exchange;
  #outer;
  #resolve;
  #reject;
  /** What came meanwhile. */
  #held = [];
  #state = 'open';
  #resume = null;
  #abort = null;
  began = false;
  controller = null;

  constructor(exchange, outer) {
    this.#exchange = exchange;
    this.#outer = outer;
    this.head = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
    this.handler = outer.onRequestStart ? this.#second() : this.#first();
    for (const name of ASIDE) if (typeof outer[name] === 'function') this.handler[name] = (...args) => outer[name](...args);
  }

  get committed() {
    return this.#state === 'committed';
  }

  /** The response is the result: it goes on to the handler. */
  commit() {
    this.#state = 'committed';
    const { status, raw, text } = this.response;
    if (this.#outer.onResponseStart) {
      this.#outer.onResponseStart(this.#exchange.stable, status, raw, text);
      for (const tell of this.#held.splice(0)) tell();
      if (!this.#exchange.paused) this.controller.resume();
    } else {
      const goes = this.#outer.onHeaders(status, raw, () => this.#resume(), text);
      for (const tell of this.#held.splice(0)) tell();
      if (goes !== false) this.#resume();
    }
  }

  /** Nobody wants the response: a small one is let come, the connection of another is closed. */
  drop() {
    this.#state = 'dropped';
    this.#held = [];
    const length = this.response.headers().find(([name]) => name.toLowerCase() === 'content-length')?.[1];
    if (Number(length ?? NaN) > DRAIN || length === undefined) this.abort(new Error('the response is not wanted'));
    else if (this.controller) this.controller.resume();
    else this.#resume();
  }

  abort(reason) {
    if (this.#state === 'open' && !this.response) this.#state = 'dropped';
    if (this.controller) this.controller.abort(reason);
    else this.#abort?.(reason);
  }

  /** A piece of news for the handler: now, or once the response is the result. */
  #tell(tell) {
    if (this.#state === 'committed') return tell();
    if (this.#state === 'open') this.#held.push(tell);
    return this.#state === 'dropped';
  }

  #failed(error, tell) {
    if (this.response) this.#tell(tell);
    else this.#reject(error);
  }

  /** The handler of undici 7 and 8. */
  #second() {
    const outer = this.#outer;
    const exchange = this.#exchange;
    return {
      onRequestStart: (controller, context) => {
        this.began = true;
        this.controller = controller;
        exchange.started(this, context);
      },
      onRequestUpgrade: (controller, status, headers, socket) => outer.onRequestUpgrade?.(exchange.stable, status, headers, socket),
      onResponseStart: (controller, status, headers, text) => {
        if (status < 200) return outer.onResponseStart(exchange.stable, status, headers, text);
        controller.pause();
        this.response = { status, raw: headers, headers: () => linesOf(headers), text };
        this.#resolve(this);
      },
      onResponseData: (controller, chunk) => void this.#tell(() => outer.onResponseData(exchange.stable, chunk)),
      onResponseEnd: (controller, trailers) => void this.#tell(() => outer.onResponseEnd(exchange.stable, trailers)),
      onResponseError: (controller, error) => this.#failed(error, () => outer.onResponseError(exchange.stable, error)),
    };
  }

  /** The handler of undici 6, and of Node's own fetch up to 24. */
  #first() {
    const outer = this.#outer;
    return {
      onConnect: (abort, context) => {
        this.began = true;
        this.#abort = abort;
        this.#exchange.started(this, context);
      },
      onUpgrade: (...args) => outer.onUpgrade?.(...args),
      onHeaders: (status, raw, resume, text) => {
        if (status < 200) return outer.onHeaders(status, raw, resume, text);
        this.#resume = resume;
        this.response = { status, raw, headers: () => linesOf(raw), text };
        this.#resolve(this);
        return false;
      },
      onData: (chunk) => this.#tell(() => outer.onData(chunk)),
      onComplete: (trailers) => void this.#tell(() => outer.onComplete(trailers)),
      onError: (error) => this.#failed(error, () => outer.onError(error)),
    };
  }
}

/** Header fields in any of the forms that undici has: flat lists of text or bytes, pairs, objects. */
function linesOf(headers) {
  if (!Array.isArray(headers) || Array.isArray(headers[0])) return fields(headers);
  const lines = [];
  for (let at = 0; at + 1 < headers.length; at += 2) for (const value of [].concat(headers[at + 1])) lines.push([text(headers[at]), text(value)]);
  return lines;
}

function text(value) {
  return Buffer.isBuffer(value) ? value.toString('latin1') : `${value}`;
}

/** Lines, flat, with others in place of those of the same name. */
function merged(lines, others) {
  const names = new Set(others.map(([name]) => name));
  return [...lines.filter(([name]) => !names.has(name.toLowerCase())), ...others].flat();
}

module.exports = { retryInterceptor };
