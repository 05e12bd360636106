'use strict';

/**
 * A body that comes once, kept while it is sent so that it can be sent again: as far as the policy keeps bodies. Its passes may overlap: each piece
 * is asked for once.
 */
class Recorded {
  #iterator;
  #source;
  /** Promises of what the iterator gave, in order. */
  #pieces = [];
  #size = 0;
  #most = 0;
  /** How many pieces are counted in the size. */
  #counted = 0;

  constructor(source) {
    this.#source = source;
    this.#iterator = (source[Symbol.asyncIterator] ?? source[Symbol.iterator]).call(source);
  }

  /** What has to be kept to be sent again; null for a body that can be passed on as it is. */
  static of(body) {
    if (body === null || typeof body !== 'object' || ArrayBuffer.isView(body) || body instanceof ArrayBuffer || body instanceof FormData || body instanceof Blob) return null;
    return Symbol.asyncIterator in body || Symbol.iterator in body ? new Recorded(body) : null;
  }

  /** Whether another pass would give all of it. */
  get replayable() {
    return this.#size <= this.#most;
  }

  /** A pass may begin; `most`: how many bytes are kept. */
  begin(most) {
    this.#most = most;
  }

  /** The body from its beginning. */
  pass() {
    const pass = this.#walk();
    // What undici's mocks look at.
    if ('__mockAgentBodyForDispatch' in this.#source) pass.__mockAgentBodyForDispatch = this.#source.__mockAgentBodyForDispatch;
    return pass;
  }

  async *#walk() {
    for (let at = 0; ; at++) {
      if (at === this.#pieces.length) this.#pieces.push(this.#iterator.next());
      const { done, value } = await this.#pieces[at];
      if (done) return;
      if (at === this.#counted) {
        this.#counted += 1;
        this.#size += value.length ?? value.byteLength ?? 0;
      }
      // Too large to be kept: it is sent, and not sent again.
      if (this.#size > this.#most) this.#pieces.fill(undefined);
      yield value;
    }
  }
}

module.exports = { Recorded };
