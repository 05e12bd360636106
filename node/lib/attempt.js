'use strict';

const { bytesOf, nameOf } = require('./body.js');
const { wrongType } = require('./errors.js');

/** One attempt and how it ended, as callbacks see it. */
class Attempt {
  #headers;
  #requestHeaders;

  constructor({ headers, requestHeaders, ...rest }) {
    this.#headers = headers;
    this.#requestHeaders = requestHeaders;
    Object.assign(this, rest);
  }

  /** The response's header fields; empty on failures before a head. */
  get headers() {
    return (this.#headers = headersOf(this.#headers));
  }

  get requestHeaders() {
    return (this.#requestHeaders = headersOf(this.#requestHeaders));
  }
}

/** The request of the next attempt. Edits concern that one alone. */
class RetryRequest {
  #before;
  #pending;
  #body = null;

  constructor({ method, url, headers, pending }) {
    Object.defineProperty(this, 'method', { value: method, enumerable: true });
    this.url = url;
    this.headers = headersOf(headers);
    this.#pending = pending;
    this.#before = { url, headers: [...this.headers].flat() };
  }

  /** Sets the body: text or bytes. */
  setBody(body) {
    const bytes = bytesOf(body);
    if (bytes === undefined) throw wrongType(`setBody: must be text or bytes, got ${nameOf(body)}`);
    this.#body = bytes;
  }

  /** Sets a JSON body. */
  setJson(value) {
    this.setBody(JSON.stringify(value));
    this.headers.set('content-type', 'application/json');
  }

  /** What the addon takes: null for what was left as it was. */
  static edits(request) {
    const { url, headers } = request.#before;
    const own = [...request.headers].flat();
    const same = own.length === headers.length && own.every((text, i) => text === headers[i]);
    const newUrl = `${request.url}`;
    return [request.#pending, newUrl === url ? null : newUrl, same ? null : own, request.#body];
  }
}

function headersOf(list) {
  if (list instanceof Headers) return list;
  const headers = new Headers();
  for (let i = 0; i < list.length; i += 2) headers.append(list[i], list[i + 1]);
  return headers;
}

module.exports = { Attempt, RetryRequest };
