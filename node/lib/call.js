'use strict';

const { Attempt, RetryRequest } = require('./attempt.js');
const { bridge, waiting, WHAT } = require('./bridge.js');
const { Watch } = require('./channels.js');
const { download } = require('./download.js');
const { ReknockError, ofFetch, wrongType } = require('./errors.js');
const { guard, fail } = require('./guard.js');
const native = require('./native.js');
const { Parts } = require('./parts.js');
const { Policy } = require('./policy.js');
const { leave } = require('./records.js');
const { follow, unfollow } = require('./signals.js');
const { Upload } = require('./upload.js');

/** What a call wants of the addon, in one number. */
const BITS = { retryIf: 1, delay: 2, beforeRetry: 4, onEvent: 8, withBody: 16, beforeAttempt: 512 };
const DELIVERY = { buffered: 0, streamed: 32, auto: 64 };
const PLATFORM = 128;
const NESTED = 256;
const OMIT_COOKIES = 1024;
const CHECK = 2048;
/** What fetch says of what it takes, where nobody else does. */
const ANYTHING = { accept: 4096, 'accept-language': 8192, 'accept-encoding': 16384 };
const EMPTY = new Uint8Array();
const ASKED = Object.entries(BITS);
const HOOKS = ['retryIf', 'delay', 'beforeRetry', 'onEvent', 'withBody'];

/**
 * Makes a call; its response's parts. Callbacks run in here: in the caller's context, with the caller on the stack.
 * `given` is what `fetchCall` makes of fetch's arguments.
 */
async function send(client, given, hooks) {
  const watch = Watch.of(() => watched(client, given));
  return watch === null ? run(client, given, hooks) : watch.call(() => run(client, given, watch.hooks(hooks)));
}

/** Whose call it is and what its budget is, for those who watch. The addon is told the same. */
function watched(client, given) {
  const { method, url, query, options } = given;
  given.identity = guard(() => client.identify(method, url, query, nameOf(options)));
  return [given.identity.shown(), { holder: client, reading: (held, origin) => held.budget(origin) }, false];
}

async function run(client, given, hooks) {
  const call = new Call(client, given, hooks);
  let item = await call.next();
  for (;;) {
    if (item instanceof Parts) return item;
    for (const event of item.events) tell(hooks, event);
    if ('thrown' in item) throw item.thrown;
    if (item.error) throw fail(item.error);
    if (item.parts) return item.parts;
    item = await call.answer(item.question, hooks);
  }
}

/** One call, from its start to its end. */
class Call {
  #id;
  #signal;
  /** What the body is that has no bytes. */
  #nothing;
  #upload = null;
  #events = [];
  /** What came before it was waited for. */
  #ready = [];
  #resolve = null;
  #form;

  constructor(client, { method, url, headers, body, signal, query, redirect, credentials, page, options, form, delivery, nested, identity, anything }, hooks) {
    this.#signal = signal;
    this.#form = form;
    this.#nothing = /^head$/i.test(method) ? null : EMPTY;
    const bits = bitsOf(hooks) | DELIVERY[delivery] | (form.platform ? PLATFORM : 0) | (nested ? NESTED : 0) | (credentials === 'omit' ? OMIT_COOKIES : 0) | anything;
    const seldom = seldomGiven(query, redirect, page, options, identity);
    const send = (what) => guard(() => bridge.send(client, method, url, headers.length > 0 ? headers : null, outgoing(body), what, seldom));
    if (signal?.aborted) {
      body?.cancel?.(signal.reason);
      // What is no request at all is said first, as in fetch.
      if (form.platform) send(CHECK);
      throw signal.reason;
    }
    this.#id = send(bits);
    waiting.set(this.#id, this);
    if (body !== null && body.kind !== 'bytes') this.#upload = new Upload(client, this.#id, body, (error) => this.abort(error));
    if (signal) follow(signal, this);
  }

  /** What comes next: the parts of the response, or `{events}` with `parts`, `question`, `error` or `thrown`. */
  next() {
    return new Promise((resolve) => {
      if (this.#ready.length > 0) resolve(this.#ready.shift());
      else this.#resolve = resolve;
    });
  }

  /** Runs a callback and answers with what it returns; what comes next. The end of the call interrupts it. */
  async answer([name, about, request], hooks) {
    // The end may have come with the question, or before anyone got to it: then nobody is to be asked.
    const over = this.#ready.length > 0;
    const coming = this.next();
    if (over) return coming;
    try {
      const attempt = name === 'beforeAttempt' ? about : new Attempt(about);
      const edited = request && new RetryRequest(request);
      let answer = hooks[name](attempt, edited);
      if (typeof answer?.then === 'function') {
        const first = await Promise.race([wrapped(answer), coming]);
        if (!('answer' in first)) return first;
        answer = first.answer;
      }
      guard(() => (edited ? bridge.answerRequest(this.#id, ...RetryRequest.edits(edited)) : bridge.answer(this.#id, name, answer)));
    } catch (error) {
      return this.#failed(error, coming);
    }
    return coming;
  }

  /** The call ends with what a callback threw, or with what is wrong with its answer; on that its records are left. */
  async #failed(thrown, coming) {
    if (waiting.get(this.#id) !== this) return coming;
    bridge.failAnswer(this.#id);
    const end = await coming;
    if (!end.error) return end;
    const { events, error } = end;
    if (thrown instanceof ReknockError && thrown.attempts.length === 0) return { events, thrown: fail({ ...error, kind: thrown.kind, message: thrown.message, causes: [] }) };
    leave(thrown, fail(error));
    return { events, thrown };
  }

  /** Ends it now, if it is not over. */
  abort(reason) {
    if (waiting.get(this.#id) !== this) return;
    const last = bridge.cancel(this.#id);
    this.#over(reason);
    this.#put({ events: [...this.#events.splice(0), ...last], thrown: reason });
  }

  /** What has come for it. */
  take(what, value, more) {
    switch (what) {
      case WHAT.PULL:
      case WHAT.GONE:
        return this.#upload.take(what, value, more);
      case WHAT.EVENTS:
        this.#events.push(...value);
        return;
      case WHAT.QUESTION:
        return this.#put({ events: this.#events.splice(0), question: value });
      case WHAT.ERROR:
        this.#over();
        return this.#put({ events: this.#events, error: value });
    }
    const parts = what > 0 ? new Parts(what, value, more ?? this.#nothing) : new Parts(-what, value, null);
    if (what < 0) parts.stream = this.#streamed(more, parts);
    if (what > 0) this.#over();
    this.#put(this.#events.length > 0 ? { events: this.#events, parts } : parts);
  }

  /** The body that is read as it comes; null if there is none. What is still to be sent ends with it. */
  #streamed(place, parts) {
    if (this.#nothing === null) {
      native.closeStream(place);
      this.#over();
      return null;
    }
    this.#leave();
    const { platform } = this.#form;
    return download(place, this.#signal, this.#upload, (error) => {
      parts.broke(error);
      return platform ? ofFetch(error) : error;
    });
  }

  #put(item) {
    if (this.#resolve === null) {
      this.#ready.push(item);
      return;
    }
    const resolve = this.#resolve;
    this.#resolve = null;
    resolve(item);
  }

  #over(reason) {
    this.#leave();
    this.#upload?.end(reason);
  }

  #leave() {
    waiting.delete(this.#id);
    if (this.#signal) unfollow(this.#signal, this);
  }
}

/** The callbacks of a call: its own, else those of `base`. Null turns one off. */
function hooksOf(options, base) {
  const hooks = { ...base };
  for (const name of HOOKS) if (options[name] !== undefined) hooks[name] = options[name];
  return hooks;
}

async function wrapped(answer) {
  return { answer: await answer };
}

function tell(hooks, event) {
  try {
    hooks.onEvent(event);
  } catch (error) {
    // An observer's mistake fails no call; it goes where uncaught errors go.
    process.nextTick(() => {
      throw error;
    });
  }
}

/** `beforeAttempt` is telemetry's, no option of the caller's: it is given the event of an attempt's start and returns header fields for that attempt alone. */
function bitsOf(hooks) {
  let bits = 0;
  for (const [name, bit] of ASKED) if (hooks[name]) bits |= bit;
  return bits;
}

/** A body as the addon takes it. */
function outgoing(body) {
  if (body === null) return null;
  return body.kind === 'bytes' ? body.bytes : { once: body.kind === 'stream', length: body.length ?? null };
}

/** What most calls do not have. */
function seldomGiven(query, redirect, page, options, call) {
  const { policy, timeout } = options;
  const name = nameOf(options);
  const followRedirects = redirect === undefined ? undefined : redirect === 'follow';
  if (query.length === 0 && page === undefined && policy === undefined && timeout === undefined && followRedirects === undefined && (name ?? call) === undefined) return undefined;
  return { query, followRedirects, page, policy: Policy.native(policy), timeout, name, call };
}

/** What the caller names the call. */
function nameOf({ name }) {
  if (typeof (name ?? '') !== 'string') throw wrongType(`name: must be a string, got ${typeof name}`);
  return name ?? undefined;
}

module.exports = { send, hooksOf, ANYTHING, HOOKS };
