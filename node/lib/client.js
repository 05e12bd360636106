'use strict';

const { hooksOf, send, ANYTHING, HOOKS } = require('./call.js');
const { playing, SCRIPT } = require('./clock.js');
const { Cookies } = require('./cookies.js');
const { environment } = require('./environment.js');
const { ReknockError, ofFetch, wrongType } = require('./errors.js');
const { guard } = require('./guard.js');
const { after, aroundOf, before, edited, requestOf, AROUND } = require('./hooks.js');
const { byteString, deliveryOf, fetchCall, has, ownDelivery, query, FORMS } = require('./input.js');
const { isAsPromised } = require('./integrity.js');
const native = require('./native.js');
const { isNested } = require('./nesting.js');
const { absolute } = require('./page.js');
const { Policy, PolicySet } = require('./policy.js');
const { readable } = require('./readable.js');
const { Budgets } = require('./retry.js');
const { leanResponse, makeResponse } = require('./response.js');
const { elsewhere, isElsewhere } = require('./elsewhere.js');
const { endUploads } = require('./upload.js');

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const VERBS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'];

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
  /** What answers it in place of servers, whatever answers others; and the same client on the script that answered last. */
  #transport;
  #scripted = null;
  #closed = false;
  #hooks;
  #around;
  #options;
  #cookies = null;
  #query;
  #lenient;
  /** Header fields that are not ASCII: they go out as Latin-1 with each call. */
  #latin;
  /** Whether its relative URLs have a base of their own. */
  #based;
  /** Which header fields of fetch's own its calls carry: those that it has none of. */
  #anything = 0;

  constructor(options, around = aroundOf(options)) {
    super((input, init) => readable(this.#fetch(input, init, FORMS.fetch)));
    const { policy, timeout, throwHttpErrors, retryIf, delay, beforeRetry, onEvent, withBody, budgets, delivery, stream, nesting, searchParams, transport, ...rest } = options;
    for (const name of AROUND) delete rest[name];
    this.#options = options;
    this.#transport = transport?.[SCRIPT];
    if (transport && !this.#transport) throw wrongType('transport: must be a Script of reknock/testing');
    this.#hooks = checked(hooksOf(options, {}));
    this.#around = around;
    this.#query = searchParams === undefined ? [] : query(searchParams);
    ownDelivery(options);
    isNested(nesting);
    const settings = plain({ ...environment(rest), ...rest });
    const named = namesOf(settings.headers).concat(settings.compression === false ? 'accept-encoding' : []);
    for (const [name, bit] of Object.entries(ANYTHING)) if (!named.includes(name)) this.#anything |= bit;
    this.#latin = takeLatin(settings);
    this.#based = (settings.baseUrl ?? settings.base_url ?? null) !== null;
    this.#native = guard(() => new native.NativeClient(settings, Policy.native(policy), timeout, Budgets.native(budgets)));
    // The client's own, so that they can be taken out of it.
    for (const verb of VERBS) own(this, verb, (input, init) => this(input, { ...init, method: verb.toUpperCase() }));
    own(this, 'request', async (input, init) => leanResponse(await this.#send(await this.#given(input, init, FORMS.request))));
  }

  /** What global fetch takes, and `policy`, `timeout`, `retryIf`, `delay`, `beforeRetry`, `onEvent`, `delivery`; gives a Response. */
  get fetch() {
    return this;
  }

  /** The same, for those who set init fields by habit: what would change what is sent is passed over, with one warning. */
  asFetch() {
    return (this.#lenient ??= (input, init) => readable(this.#fetch(input, init, FORMS.asFetch)));
  }

  /** A client with these options over this one's: headers, search parameters and hooks are joined, a plain policy is merged. Its connections are its own. */
  extend(options = {}) {
    const before = this.#options;
    const headers = new Headers(pairs(before.headers));
    for (const [name, value] of new Headers(pairs(options.headers))) headers.set(name, value);
    const policy = options.policy === undefined ? before.policy : this.policies.merge(options.policy);
    const searchParams = joined(this.#query, options.searchParams === undefined ? [] : query(options.searchParams));
    return new Client({ ...before, ...options, headers: [...headers], policy, searchParams: chunked(searchParams) }, aroundOf(options, this.#around));
  }

  setPolicy(policy) {
    guard(() => this.#native.setPolicy(Policy.native(policy)));
    this.#scripted = null;
  }

  get policyError() {
    try {
      guard(() => this.#native.checkPolicy());
    } catch (error) {
      return error;
    }
    return null;
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
    return this.#engine().budget(`${origin}`);
  }

  /** Ends the calls in flight, and those to come. */
  close() {
    this.#closed = true;
    for (const native of [this.#native, this.#scripted?.native ?? []].flat()) {
      native.close();
      endUploads(native);
    }
  }

  async [Symbol.asyncDispose]() {
    this.close();
  }

  /** What makes its calls now: on a script, if one answers in place of servers. */
  #engine() {
    const script = this.#transport ?? playing();
    if (!script) return this.#native;
    if (this.#scripted?.script !== script) {
      this.#scripted = { script, native: guard(() => this.#native.onScript(script)) };
      if (this.#closed) this.#scripted.native.close();
    }
    return this.#scripted.native;
  }

  async #fetch(input, init, form) {
    if (isElsewhere(input)) return elsewhere(input, init);
    const { beforeRequest, afterResponse } = this.#around;
    let given = this.#given(input, init, form);
    if (given instanceof Promise) given = await given;
    if (beforeRequest.length + afterResponse.length === 0) return this.#answer(given);
    const request = requestOf(given);
    const answer = await before(beforeRequest, request);
    if (answer) return answer;
    // Once more if a hook asks for it: who wants more of that asks the policy.
    for (let again = true; ; again = false) {
      const sent = edited(given, request);
      const { parts, response: made } = await this.#made(sent);
      const { response, retry } = await after(afterResponse, made, request);
      if (!retry || !again || sent.body?.kind === 'stream') return this.#judged({ parts: response === made ? parts : null, response }, sent);
      await made.body?.cancel();
    }
  }

  async #answer(given) {
    return this.#judged(await this.#made(given), given);
  }

  async #made(given) {
    try {
      const parts = await this.#send(given);
      if (REDIRECTS.has(parts.status) && this.#follows(given) && parts.headers().includes('location')) {
        void parts.stream?.cancel();
        throw noAnswer(parts, `${parts.statusText()}: its location ${parts.leadsNowhere() ? 'leads nowhere that HTTP goes' : 'is not followed'}`);
      }
      return { parts, response: makeResponse(parts, given.signal) };
    } catch (error) {
      throw ofFetch(error, error?.kind === 'invalid_request' && isWellFormed(given), isMisfit(given));
    }
  }

  #judged(made, given) {
    this.#judge(made, given);
    return made.response;
  }

  /** Whether redirects of a call are followed. */
  #follows({ redirect }) {
    if (redirect !== undefined) return redirect === 'follow';
    const { followRedirects, follow_redirects: follow = followRedirects, maxRedirects, max_redirects: max = maxRedirects } = this.#options;
    return follow !== false && max !== 0;
  }

  /** What a call is made of, with what its client adds; a promise if the body of a `Request` has to be looked at. */
  #given(input, init, form) {
    const given = fetchCall(input, init, form);
    return given instanceof Promise ? given.then((own) => this.#completed(own)) : this.#completed(given);
  }

  #completed(given) {
    for (const [name, value] of this.#latin) if (!has(given.headers, name)) given.headers.push(name, value);
    if (given.form.platform && !this.#based) given.url = absolute(given.url);
    given.query = joined(this.#query, given.query);
    // Whose bytes were promised gets all of them or none.
    const delivery = deliveryOf(given, this.#options);
    given.delivery = given.integrity === '' ? delivery : 'buffered';
    given.anything = given.form.platform ? this.#anything : 0;
    given.nested = isNested(given.options.nesting ?? this.#options.nesting);
    return given;
  }

  /** Sends it: the parts of its response. */
  async #send(given) {
    const parts = await send(this.#engine(), given, hooksIn(given.options, this.#hooks));
    if (given.redirect === 'error' && REDIRECTS.has(parts.status)) {
      // Nobody gets the response who could.
      void parts.stream?.cancel();
      throw noAnswer(parts, `redirect: ${parts.statusText()} although redirect is error`);
    }
    if (given.integrity !== '' && !(parts.body && isAsPromised(parts.body, given.integrity))) throw noAnswer(parts, 'integrity: the body is not the one that was promised');
    if (!given.form.platform) this.#judge({ parts }, given);
    return parts;
  }

  /** Throws for a status that is an error to the caller. */
  #judge({ parts, response }, given) {
    const { throwHttpErrors = this.#options.throwHttpErrors } = given.options;
    const { status } = response ?? parts;
    if (!throwHttpErrors || (status >= 200 && status < 300)) return;
    if (typeof throwHttpErrors === 'function' && !throwHttpErrors(status)) return;
    throw ofStatus(parts, response ?? makeResponse(parts));
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

function own(client, name, value) {
  Object.defineProperty(client, name, { value, configurable: true, writable: true });
}

/** The callbacks of a call; most calls bring none. */
function hooksIn(options, base) {
  return HOOKS.some((name) => options[name] !== undefined) ? checked(hooksOf(options, base)) : base;
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
  if (globalThis.Headers && headers instanceof Headers) rest.headers = [...headers];
  else if (headers !== undefined) rest.headers = headers;
  return rest;
}

/** Whether the platform would make a request of it. */
function isWellFormed({ url, method, headers }) {
  try {
    return new Request(url, { method, headers: chunked(headers) }) !== null;
  } catch {
    return false;
  }
}

/** Whether the length that header fields give of a body is not its own. */
function isMisfit({ headers, body }) {
  const at = body?.kind === 'bytes' ? headers.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === 'content-length') : -1;
  return at >= 0 && Number(headers[at + 1]) !== body.bytes.byteLength;
}

/** Takes the header fields out that are not ASCII. */
function takeLatin(settings) {
  const isLatin = ([name, value]) => typeof value === 'string' && /[^\0-\x7f]/.test(byteString(name, value));
  const found = typeof settings.headers === 'object' ? pairs(settings.headers).filter((pair) => pair?.length === 2 && isLatin(pair)) : [];
  if (found.length > 0) settings.headers = pairs(settings.headers).filter((pair) => !found.includes(pair) && !isLatin(pair));
  return found.map(([name, value]) => [`${name}`.toLowerCase(), value]);
}

/** The names of header fields, in lower case; of what is none the addon tells. */
function namesOf(headers) {
  return typeof headers === 'object' ? pairs(headers).map((pair) => `${pair?.[0]}`.toLowerCase()) : [];
}

function pairs(headers) {
  return headers === undefined || headers === null ? [] : Symbol.iterator in headers ? [...headers] : Object.entries(headers);
}

/** Search parameters, flat, over others: a name takes the place of what the others have of it. */
function joined(base, over) {
  if (base.length === 0 || over.length === 0) return base.length === 0 ? over : base;
  const names = new Set(over.filter((_, at) => at % 2 === 0));
  return [...base.filter((_, at) => !names.has(base[at - (at % 2)])), ...over];
}

function chunked(list) {
  return Array.from({ length: list.length / 2 }, (_, at) => [list[at * 2], list[at * 2 + 1]]);
}

/** The error of a response that is none to the caller. */
function noAnswer(parts, message) {
  const records = { attempts: parts.attempts(), stopReason: parts.stopReason(), explain: parts.explain(), call: parts.call() };
  return new ReknockError({ kind: 'protocol', message, status: parts.status, ...records });
}

/** The error of a response that is not 200-299; `parts` is null if it is a hook's own. */
function ofStatus(parts, response) {
  const error = new ReknockError({
    kind: 'http_status',
    message: parts?.problem() ?? `${response.status} ${response.statusText}`,
    status: response.status,
    ...(parts && { attempts: parts.attempts(), stopReason: parts.stopReason(), explain: parts.explain(), call: parts.call() }),
  });
  Object.defineProperty(error, 'response', { value: response });
  return error;
}

module.exports = { createClient, fetch, request };
