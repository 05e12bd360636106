'use strict';

const { inspect } = require('node:util');
const { ON_DEMAND } = require('./download.js');
const { follow, unfollow } = require('./signals.js');

/** Statuses whose responses have no body (Fetch standard). */
const NULL_BODY = new Set([101, 103, 204, 205, 304]);
const EMPTY = new Uint8Array();

/** A global `Response` with what is known of its attempts. Its body, unread, ends with the signal. */
function makeResponse(parts, signal = null) {
  return new RetryResponse(parts, signal);
}

/** The response of `request()`. */
function leanResponse(parts) {
  return new LeanResponse(parts);
}

/** Test environments of a page (jsdom) may have none of Node's: there the package can be loaded, and `request` works. */
class NoResponse {
  constructor() {
    throw new Error('reknock: fetch needs a global Response, which this environment took away (jsdom? have it keep Node\'s); request() does not');
  }
}

/** The header fields of a response, names and values in turn: nobody may change them, as in fetch. */
class ResponseHeaders extends (globalThis.Headers ?? Object) {
  constructor(list) {
    super();
    for (let i = 0; i < list.length; i += 2) super.append(list[i], list[i + 1]);
  }
}
for (const name of ['append', 'delete', 'set']) {
  const refuse = () => {
    throw new TypeError(`headers: those of a response cannot be changed; new Headers(response.headers) can (${name})`);
  };
  Object.defineProperty(ResponseHeaders.prototype, name, { value: refuse, configurable: true, writable: true });
}

/**
 * The bytes of a buffered response stay with us until somebody asks for something that only an ordinary response has (`body`, `blob`,
 * `formData`). From then on an inner one answers. The base class sees a response without a body: making it anything else costs more than
 * the call.
 */
class RetryResponse extends (globalThis.Response ?? NoResponse) {
  #parts;
  #source;
  #inner;
  #headers;
  #used = false;
  /** A clone has the same bytes: they must not be given away. */
  #shared = false;
  #signal;

  constructor(parts, signal) {
    super();
    this.#parts = parts;
    this.#signal = signal;
    const none = NULL_BODY.has(parts.status);
    // Nobody could read it, or end what is still sent.
    if (none) void parts.stream?.cancel();
    this.#source = none ? null : parts.body ?? parts.stream ?? null;
  }

  get status() {
    return this.#parts.status;
  }

  get statusText() {
    return this.#parts.statusText();
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  get headers() {
    return (this.#headers ??= new ResponseHeaders(this.#parts.headers()));
  }

  get url() {
    return this.#parts.url();
  }

  get redirected() {
    return this.#parts.redirected();
  }

  get type() {
    return this.#parts.strayed() ? 'cors' : 'basic';
  }

  get httpVersion() {
    return this.#parts.httpVersion();
  }

  get attempts() {
    return this.#parts.attempts();
  }

  get stopReason() {
    return this.#parts.stopReason();
  }

  get elapsedMs() {
    return this.#parts.elapsedMs();
  }

  explain() {
    return this.#parts.explain();
  }

  get body() {
    return this.#source === null ? null : this.#ordinary().body;
  }

  get bodyUsed() {
    return this.#inner ? this.#inner.bodyUsed : this.#used;
  }

  async text() {
    const bytes = this.#take();
    return bytes ? decoded(bytes) : this.#ordinary().text();
  }

  async json() {
    const bytes = this.#take();
    return bytes ? JSON.parse(decoded(bytes)) : this.#ordinary().json();
  }

  async arrayBuffer() {
    const bytes = this.#take();
    return bytes ? bufferOf(bytes, this.#shared) : this.#ordinary().arrayBuffer();
  }

  async bytes() {
    const bytes = this.#take();
    return new Uint8Array(bytes ? bufferOf(bytes, this.#shared) : await this.#ordinary().arrayBuffer());
  }

  async blob() {
    this.#unlessAborted();
    return this.#ordinary().blob();
  }

  async formData() {
    this.#unlessAborted();
    return this.#ordinary().formData();
  }

  clone() {
    const copy = new RetryResponse(this.#parts, this.#signal);
    if (this.#lazy()) {
      this.#shared = copy.#shared = true;
    } else {
      // Throws if the body was used, as ever.
      copy.#inner = this.#ordinary().clone();
    }
    return copy;
  }

  [inspect.custom](depth, options) {
    const { status, statusText, headers, bodyUsed, ok, redirected, type, url, httpVersion, attempts, stopReason } = this;
    const seen = { status, statusText, headers, bodyUsed, ok, redirected, type, url, httpVersion, attempts: attempts.length, stopReason };
    return `Response ${inspect(seen, { ...options, depth })}`;
  }

  /** The bytes are still with us, unread. */
  #lazy() {
    return !this.#used && !this.#inner && this.#source instanceof Uint8Array;
  }

  /** A body that nobody has read ends with the signal; one that is empty has ended. */
  #unlessAborted() {
    if (this.#lazy() && this.#source.length > 0) this.#signal?.throwIfAborted();
  }

  /** The bytes, once; undefined if the inner response has to answer. */
  #take() {
    if (!this.#lazy()) return undefined;
    this.#unlessAborted();
    const bytes = this.#source;
    this.#used = true;
    this.#source = EMPTY;
    return bytes;
  }

  /** The ordinary response that answers from now on. */
  #ordinary() {
    if (!this.#inner) {
      const ending = this.#signal !== null && this.#source instanceof Uint8Array && this.#source.length > 0;
      this.#inner = new Response(ending ? endedBy(this.#signal, this.#source) : this.#source, { headers: this.headers });
      if (this.#used) void this.#inner.text();
    }
    return this.#inner;
  }
}

class LeanResponse {
  #parts;
  #headers;

  constructor(parts) {
    this.#parts = parts;
    this.body = new LeanBody(parts.body ?? parts.stream ?? null);
  }

  get statusCode() {
    return this.#parts.status;
  }

  /** Lower-case names; a name that came more than once has an array. */
  get headers() {
    return (this.#headers ??= recordOf(this.#parts));
  }

  get url() {
    return this.#parts.url();
  }

  get redirected() {
    return this.#parts.redirected();
  }

  get httpVersion() {
    return this.#parts.httpVersion();
  }

  get attempts() {
    return this.#parts.attempts();
  }

  get stopReason() {
    return this.#parts.stopReason();
  }

  get elapsedMs() {
    return this.#parts.elapsedMs();
  }

  explain() {
    return this.#parts.explain();
  }

  [inspect.custom](depth, options) {
    const { statusCode, headers, url, httpVersion, attempts, stopReason } = this;
    return `LeanResponse ${inspect({ statusCode, headers, url, httpVersion, attempts: attempts.length, stopReason }, { ...options, depth })}`;
  }
}

/** A body that is there: read as often as you like. A streamed one: read once. */
class LeanBody {
  #bytes;
  #stream;

  constructor(source) {
    if (typeof source?.getReader === 'function') this.#stream = new Response(source);
    else this.#bytes = source ?? EMPTY;
  }

  async text() {
    return this.#stream ? this.#stream.text() : decoded(this.#bytes);
  }

  async json() {
    return this.#stream ? this.#stream.json() : JSON.parse(decoded(this.#bytes));
  }

  /** The same memory each time: nothing is copied for those who read once. */
  async arrayBuffer() {
    if (this.#stream) return this.#stream.arrayBuffer();
    const buffer = bufferOf(this.#bytes, false);
    this.#bytes = new Uint8Array(buffer);
    return buffer;
  }

  async bytes() {
    return new Uint8Array(await this.arrayBuffer());
  }

  async blob() {
    return this.#stream ? this.#stream.blob() : new Blob([this.#bytes]);
  }

  /** Ends a streamed body unread: its connection is closed. */
  async dump() {
    if (this.#stream && !this.#stream.bodyUsed) await this.#stream.body.cancel();
  }

  async *[Symbol.asyncIterator]() {
    if (this.#stream) yield* this.#stream.body;
    else if (this.#bytes.length > 0) yield this.bytes();
  }
}

/** Bytes as a stream that a signal ends as long as nobody has read them. */
function endedBy(signal, bytes) {
  const end = { abort: null };
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      end.abort = (reason) => controller.error(reason);
      if (signal.aborted) end.abort(signal.reason);
      else follow(signal, end);
    },
    pull(controller) {
      unfollow(signal, end);
      // What is handed over is gone, and a clone may have the same bytes.
      controller.enqueue(bytes.slice());
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: () => unfollow(signal, end),
  }, ON_DEMAND);
}

/** UTF-8 as the standard decodes it: without a byte order mark, with U+FFFD for what is none. */
function decoded(bytes) {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** The memory of the bytes: their own if nobody else has it, else a copy. */
function bufferOf(bytes, shared) {
  const { buffer, byteOffset, byteLength } = bytes;
  return !shared && byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}

function recordOf(parts) {
  const list = parts.headers();
  const record = Object.create(null);
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i].toLowerCase();
    const before = record[name];
    record[name] = before === undefined ? list[i + 1] : [].concat(before, list[i + 1]);
  }
  return record;
}

module.exports = { makeResponse, leanResponse };
