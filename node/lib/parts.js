'use strict';

const native = require('./native.js');

/** What a response is made of: what is there, and what is read when it is asked for. */
class Parts {
  #head;
  #attempts;
  /** What its body broke with: the records say it from then on. */
  #broken = null;

  /** `body`: the bytes, null if there are none. `stream`: the body that is still to be read. */
  constructor(status, head, body, stream = null) {
    this.status = status;
    this.#head = head;
    this.body = body;
    this.stream = stream;
  }

  /** Names and values in turn. */
  headers() {
    return native.headHeaders(this.#head);
  }

  attempts() {
    return this.#broken?.attempts ?? (this.#attempts ??= Object.freeze(native.headAttempts(this.#head)));
  }

  /** Whose call it answers: `{callId, method, url, origin, name}`. */
  call() {
    return native.headCall(this.#head);
  }

  url() {
    return native.headUrl(this.#head);
  }

  redirected() {
    return native.headRedirected(this.#head);
  }

  /** Whether redirects led to another origin. */
  strayed() {
    return this.redirected() && new URL(this.url()).origin !== this.call()?.origin;
  }

  /** Whether it is a redirect whose location leads nowhere. */
  leadsNowhere() {
    return native.headLeadsNowhere(this.#head);
  }

  httpVersion() {
    return native.headVersion(this.#head);
  }

  statusText() {
    return native.headStatusText(this.#head);
  }

  /** One line that says what is wrong, null for 200-299. */
  problem() {
    return native.headProblem(this.#head);
  }

  stopReason() {
    return this.#broken?.stopReason ?? native.headStopReason(this.#head);
  }

  elapsedMs() {
    return native.headElapsed(this.#head);
  }

  /** The body that is read as it comes broke. */
  broke(error) {
    this.#broken = error;
  }

  explain() {
    return this.#broken?.explain() ?? native.headExplain(this.#head);
  }
}

module.exports = { Parts };
