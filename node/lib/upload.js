'use strict';

const { AsyncResource } = require('node:async_hooks');
const { bridge, waiting, WHAT } = require('./bridge.js');

/** The uploads of each client that outlive their calls. */
const outliving = new WeakMap();

/** The client is closed: nothing more is sent. */
function endUploads(client) {
  for (const upload of [...(outliving.get(client) ?? [])]) upload.end();
}

/** A request body that is produced while it is sent: a piece whenever the connection takes one. */
class Upload {
  #client;
  #id;
  #body;
  #walk = null;
  /** The number of the walk's pass. */
  #pass = 0;
  #failed;
  /** Nobody asks for more: it was produced to its end, or its connection is gone. */
  #done = false;
  #ask;
  /** It is sent on although its call is over. */
  #outlives = false;

  /** `client` is the native one, `id` the number of its call; `failed(error)` is told what the producer throws. */
  constructor(client, id, body, failed) {
    this.#client = client;
    this.#id = id;
    this.#body = body;
    this.#failed = failed;
    // The producer runs in the context of the call.
    this.#ask = AsyncResource.bind((pull, pass) => this.#produce(pull, pass));
  }

  /**
   * The call is over but for the body of its response, which may answer what is still to be sent: it is sent on, as fetch does, and
   * keeps the process alive meanwhile. `failed` is told from now on.
   */
  outlive(failed) {
    if (this.#done) return;
    this.#failed = failed;
    this.#outlives = true;
    waiting.set(this.#id, this);
    if (!outliving.has(this.#client)) outliving.set(this.#client, new Set());
    outliving.get(this.#client).add(this);
    bridge.hold();
  }

  /** A piece is asked for, or a pass that did not end is over. */
  take(what, value, pass) {
    if (what === WHAT.PULL) this.#ask(value, pass);
    else if (value >= this.#pass) this.#gone();
  }

  /** Nothing more is sent: lets the producer go. */
  end(reason) {
    this.#settle();
    (this.#walk ?? this.#body).cancel?.(reason);
  }

  async #produce(pull, pass) {
    if (pass !== this.#pass) this.#begin(pass);
    const walk = this.#walk;
    try {
      const piece = await walk.next();
      bridge.feed(pull, piece ?? null);
      if (piece === undefined && walk === this.#walk) this.#settle();
    } catch (error) {
      // One that was given up for a new attempt fails nothing.
      if (walk === this.#walk) this.#failed(error);
    }
  }

  #begin(pass) {
    this.#pass = pass;
    this.#walk?.cancel?.();
    this.#walk = this.#body.make ? this.#body.make() : this.#body;
    this.#done = false;
  }

  /** Another pass may follow, unless the call is over. */
  #gone() {
    if (this.#outlives) this.end();
    else this.#done = true;
  }

  #settle() {
    this.#done = true;
    if (!this.#outlives) return;
    this.#outlives = false;
    waiting.delete(this.#id);
    outliving.get(this.#client).delete(this);
    bridge.release();
  }
}

module.exports = { Upload, endUploads };
