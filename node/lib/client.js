'use strict';

const { hooksOf, send, HOOKS } = require('./call.js');
const { ReknockError, wrongType } = require('./errors.js');
const { guard } = require('./guard.js');
const { byteString, fetchCall, has } = require('./input.js');
const native = require('./native.js');
const { Policy, PolicySet } = require('./policy.js');
const { Budgets } = require('./retry.js');
const { leanResponse, makeResponse } = require('./response.js');
const { Cookies } = require('./cookies.js');
const { endUploads } = require('./upload.js');

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Gives a function the methods and the private parts of a class. */
class Callable {
  constructor(call) {
    return Object.setPrototypeOf(call, new.target.prototype);
  }
}
Object.setPrototypeOf(Callable.prototype, Function.prototype);

/** Sends requests under a policy. Is itself a function that takes what fetch takes. */
class Client extends Callable {
  #native;
  #hooks;
  #options;
  #cookies = null;
  /** Header fields that are not ASCII: they go out as Latin-1 with each call. */
  #latin;

  constructor(options) {
    super((input, init) => this.#fetch(input, init));
    const { policy, timeout, throwHttpErrors, retryIf, delay, beforeRetry, onEvent, withBody, budgets, ...rest } = options;
    this.#options = options;
    this.#hooks = checked(hooksOf(options, {}));
    const settings = plain(rest);
    this.#latin = takeLatin(settings);
    this.#native = guard(() => new native.NativeClient(settings, Policy.native(policy), timeout, Budgets.native(budgets)));
  }

  /** What global fetch takes, and `policy`, `timeout`, `retryIf`, `delay`, `beforeRetry`, `onEvent`, `stream`; gives a Response. */
  get fetch() {
    return this;
  }

  /** The lean form: `{statusCode, headers, body}`. */
  async request(input, init) {
    return leanResponse(await this.#send(input, init));
  }

  get(input, init) {
    return this(input, { ...init, method: 'GET' });
  }

  head(input, init) {
    return this(input, { ...init, method: 'HEAD' });
  }

  post(input, init) {
    return this(input, { ...init, method: 'POST' });
  }

  put(input, init) {
    return this(input, { ...init, method: 'PUT' });
  }

  patch(input, init) {
    return this(input, { ...init, method: 'PATCH' });
  }

  delete(input, init) {
    return this(input, { ...init, method: 'DELETE' });
  }

  options(input, init) {
    return this(input, { ...init, method: 'OPTIONS' });
  }

  /** A client with these options over this one's: headers are joined, a plain policy is merged. Its connections are its own. */
  extend(options = {}) {
    const before = this.#options;
    const headers = new Headers(pairs(before.headers));
    for (const [name, value] of new Headers(pairs(options.headers))) headers.set(name, value);
    const policy = options.policy === undefined ? before.policy : this.policies.merge(options.policy);
    return new Client({ ...before, ...options, headers: [...headers], policy });
  }

  get policies() {
    return new PolicySet(this.#native.policies);
  }

  get policy() {
    return new Policy(this.#native.policy);
  }

  /** The client's jar of cookies; null unless the option `cookies` asked for one. */
  get cookies() {
    if (this.#native.keepsCookies) this.#cookies ??= new Cookies(this.#native);
    return this.#cookies;
  }

  /** What the budget for an origin has; null if no call used it yet. */
  budget(origin) {
    return this.#native.budget(`${origin}`);
  }

  /** Ends the calls in flight, and those to come. */
  close() {
    this.#native.close();
    endUploads(this.#native);
  }

  async [Symbol.asyncDispose]() {
    this.close();
  }

  async #fetch(input, init) {
    return makeResponse(await this.#send(input, init));
  }

  async #send(input, init) {
    let given = fetchCall(input, init);
    if (given instanceof Promise) given = await given;
    for (const [name, value] of this.#latin) if (!has(given.headers, name)) given.headers.push(name, value);
    const hooks = init === undefined || init === null ? this.#hooks : hooksIn(init, this.#hooks);
    const parts = await send(this.#native, given, hooks);
    if (given.redirect === 'error' && REDIRECTS.has(parts.status)) {
      // Nobody gets the response who could.
      void parts.stream?.cancel();
      throw wrongType(`redirect: ${parts.statusText()} although redirect is error`);
    }
    const { throwHttpErrors = this.#options.throwHttpErrors } = given.options;
    if (throwHttpErrors) throwFor(parts);
    return parts;
  }
}

/** A client. */
function createClient(options = {}) {
  return new Client(options);
}

let shared;

/** As a client's, with the default options, on connections that all such calls share. */
function fetch(input, init) {
  shared ??= createClient();
  return shared(input, init);
}

function request(input, init) {
  shared ??= createClient();
  return shared.request(input, init);
}

/** The callbacks of a call; most calls bring none. */
function hooksIn(init, base) {
  return HOOKS.some((name) => init[name] !== undefined) ? checked(hooksOf(init, base)) : base;
}

function checked(hooks) {
  for (const name of HOOKS) {
    const hook = hooks[name];
    if (name !== 'withBody' && hook !== undefined && hook !== null && typeof hook !== 'function') {
      throw wrongType(`${name}: must be a function, got ${typeof hook}`);
    }
  }
  return hooks;
}

/** Options whose values are objects of JavaScript's as what documents hold. */
function plain(options) {
  const { baseUrl, headers, ...rest } = options;
  if (baseUrl instanceof URL) rest.baseUrl = baseUrl.href;
  else if (baseUrl !== undefined) rest.baseUrl = baseUrl;
  if (headers instanceof Headers) rest.headers = [...headers];
  else if (headers !== undefined) rest.headers = headers;
  return rest;
}

/** Takes the header fields out that are not ASCII. */
function takeLatin(settings) {
  const isLatin = ([name, value]) => typeof value === 'string' && /[^\0-\x7f]/.test(byteString(name, value));
  const found = typeof settings.headers === 'object' ? pairs(settings.headers).filter((pair) => pair?.length === 2 && isLatin(pair)) : [];
  if (found.length > 0) settings.headers = pairs(settings.headers).filter((pair) => !found.includes(pair) && !isLatin(pair));
  return found.map(([name, value]) => [`${name}`.toLowerCase(), value]);
}

function pairs(headers) {
  return headers === undefined || headers === null ? [] : Symbol.iterator in headers ? [...headers] : Object.entries(headers);
}

/** An error for a response that is not 200-299. */
function throwFor(parts) {
  const message = parts.problem();
  if (message === null) return;
  const { status } = parts;
  const error = new ReknockError({
    kind: 'http_status',
    message,
    status,
    attempts: parts.attempts(),
    stopReason: parts.stopReason(),
    explain: parts.explain(),
  });
  Object.defineProperty(error, 'response', { value: makeResponse(parts) });
  throw error;
}

module.exports = { createClient, fetch, request };
