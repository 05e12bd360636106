'use strict';

const { AsyncResource } = require('node:async_hooks');
const { bridge } = require('./bridge.js');

/** A request body that is produced while it is sent: a piece whenever the connection takes one. */
class Upload {
  #body;
  #walk = null;
  #failed;

  /** `failed(error)` is told what the producer throws. */
  constructor(body, failed) {
    this.#body = body;
    this.#failed = failed;
    // The producer runs in the context of the call.
    this.ask = AsyncResource.bind((pull, first) => this.#produce(pull, first));
  }

  /** Nothing more is sent: lets the producer go. */
  end(reason) {
    (this.#walk ?? this.#body).cancel?.(reason);
  }

  async #produce(pull, first) {
    if (first) this.#begin();
    const walk = this.#walk;
    try {
      const piece = await walk.next();
      bridge.feed(pull, piece ?? null);
    } catch (error) {
      // One that was given up for a new attempt fails nothing.
      if (walk === this.#walk) this.#failed(error);
    }
  }

  #begin() {
    this.#walk?.cancel?.();
    this.#walk = this.#body.make ? this.#body.make() : this.#body;
  }
}

module.exports = { Upload };
