'use strict';

const { AsyncResource } = require('node:async_hooks');
const { bridge } = require('./bridge.js');

/** A request body that is produced while it is sent: a piece whenever the connection takes one. */
class Upload {
  #body;
  #walk = null;
  #failed;
  /** The piece that is asked for. */
  #pull = null;

  /** `failed(error)` is told what the producer throws. */
  constructor(body, failed) {
    this.#body = body;
    this.#failed = failed;
    // The producer runs in the context of the call.
    this.ask = AsyncResource.bind((pull, first) => this.#produce(pull, first));
  }

  /** Nothing more is sent: lets the producer go. */
  end(reason) {
    this.#drop();
    (this.#walk ?? this.#body).cancel?.(reason);
  }

  async #produce(pull, first) {
    this.#drop();
    this.#pull = pull;
    try {
      if (first) this.#begin();
      const piece = await this.#walk.next();
      if (this.#pull !== pull) return;
      this.#pull = null;
      bridge.feed(pull, piece ?? null);
    } catch (error) {
      if (this.#pull === pull) this.#failed(error);
    }
  }

  #begin() {
    this.#walk?.cancel?.();
    this.#walk = this.#body.make ? this.#body.make() : this.#body;
  }

  /** The attempt that asked is over. */
  #drop() {
    if (this.#pull === null) return;
    bridge.refuse(this.#pull);
    this.#pull = null;
  }
}

module.exports = { Upload };
