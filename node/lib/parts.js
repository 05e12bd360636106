'use strict';

const native = require('./native.js');

/** What a response is made of: what is there, and what is read when it is asked for. */
class Parts {
  #head;

  /** `body`: the bytes, null if there are none. `stream`: the body that is still to be read. */
  constructor(status, head, body, stream) {
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
    return native.headAttempts(this.#head);
  }

  url() {
    return native.headUrl(this.#head);
  }

  redirected() {
    return native.headRedirected(this.#head);
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
    return native.headStopReason(this.#head);
  }

  elapsedMs() {
    return native.headElapsed(this.#head);
  }

  explain() {
    return native.headExplain(this.#head);
  }
}

module.exports = { Parts };
