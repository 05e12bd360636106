'use strict';

const { getSystemErrorName, inspect } = require('node:util');
const native = require('./native.js');

/** Errors of fetch that stand for one of ours. */
const standing = new WeakSet();

/** What a call, a policy or a client fails with. What it says comes from the core. */
class ReknockError extends Error {
  #timeline;

  constructor({ kind, message, status, attempts, stopReason, explain, call, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.#timeline = explain;
    this.kind = kind;
    this.code = `REKNOCK_${kind}`.toUpperCase();
    if (status !== undefined && status !== null) this.status = status;
    this.stopReason = stopReason ?? null;
    // `name` is the class's, as of all errors.
    if (call) Object.assign(this, { method: call.method, url: call.url, callId: call.callId, callName: call.name ?? null });
    Object.defineProperty(this, 'attempts', { value: shownBriefly(attempts ?? []), enumerable: true, configurable: true });
  }

  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain() {
    return this.#timeline ?? '';
  }

  /** Fetch's errors that stand for one of these count: they have all that it has. */
  static [Symbol.hasInstance](value) {
    return Function.prototype[Symbol.hasInstance].call(this, value) || (this === ReknockError && standing.has(value));
  }
}
Object.defineProperty(ReknockError.prototype, 'name', { value: 'ReknockError', configurable: true, writable: true });

/** Attempts that are printed as a line each: whole, they would drown the message. Loggers that write JSON have all of them. */
function shownBriefly(attempts) {
  return Object.freeze(Object.defineProperty([...attempts], inspect.custom, { value: () => attempts.map(brief) }));
}

function brief({ number, status, error, durationMs, waitMs }) {
  const outcome = [status, error].filter((said) => said !== undefined && said !== null).join(', ');
  return `#${number} ${outcome || '-'} after ${Math.round(durationMs)}ms${typeof waitMs === 'number' ? `, waits ${Math.round(waitMs)}ms` : ''}`;
}

/** The error for one of the core's. Its cause is an error of ours or of the caller's, or a text, with the system's number if it has one. */
function fromNative({ cause, errno, ...parts }) {
  return new ReknockError({ ...parts, cause: typeof cause === 'string' ? ofSystem(cause, errno) : cause ?? undefined });
}

/** As Node's own errors: `code` is 'ENOENT'. */
function ofSystem(text, errno) {
  const error = new Error(text);
  if (errno > 0) Object.assign(error, { errno: -errno, code: getSystemErrorName(-errno) });
  return error;
}

/** Kinds of failures for which fetch has a TypeError, and what those say: others know them by these words. */
const FAILED = 'fetch failed';
const WORDS = { body: 'terminated', response_too_large: 'terminated', invalid_request: undefined };
for (const kind of ['connect', 'connect_timeout', 'tls', 'reset', 'refused_stream', 'protocol', 'per_try_timeout', 'deadline', 'too_many_redirects']) {
  WORDS[kind] = FAILED;
}

/** What the causes of Node's fetch are known by where the system has no word for it. */
const CODES = { connect_timeout: 'UND_ERR_CONNECT_TIMEOUT', per_try_timeout: 'UND_ERR_HEADERS_TIMEOUT', reset: 'UND_ERR_SOCKET', body: 'UND_ERR_SOCKET' };

/** And of a body that is not as long as its header field says. */
const MISFIT = 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH';

/**
 * An error as fetch has it: where there is no response, or its body breaks, a TypeError whose cause is ours, with the code that
 * the causes of Node's fetch have, the system's where there is one. It has what ours has. Anything else is as it was. `made`: the platform would make a
 * request of what was given, so that it is its fetch that fails; `misfit`: the length that was given of the body is not its own.
 */
function ofFetch(error, made = false, misfit = false) {
  if (!(error instanceof ReknockError) || standing.has(error) || !(error.kind in WORDS)) return error;
  const outer = new TypeError(WORDS[error.kind] ?? (made ? FAILED : error.message), { cause: error });
  for (const name of ['kind', 'code', 'status', 'stopReason', 'method', 'url', 'callId', 'callName', 'attempts']) {
    if (error[name] === undefined) continue;
    Object.defineProperty(outer, name, { value: error[name], enumerable: true, configurable: true, writable: true });
    // Who prints both shows it once.
    if (name !== 'code') Object.defineProperty(error, name, { enumerable: false });
  }
  Object.defineProperty(outer, 'explain', { value: () => error.explain(), configurable: true, writable: true });
  error.code = error.cause?.code ?? (misfit ? MISFIT : CODES[error.kind]) ?? error.code;
  standing.add(outer);
  return outer;
}

/** What was given, as messages show it. What may be a secret in the wrong place is told by its size: see the core's `shown_text`. */
function shown(value) {
  if (typeof value !== 'string') return `a value of type ${typeof value}`;
  const text = native.shownText(value);
  return text.startsWith('"') ? `'${value}'` : text;
}

/** An argument that is not what JavaScript's own fetch would take either. */
function wrongType(message) {
  return new TypeError(message);
}

module.exports = { shown, ReknockError, fromNative, ofFetch, wrongType };
