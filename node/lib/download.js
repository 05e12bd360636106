'use strict';

const { bridge, waiting, WHAT } = require('./bridge.js');
const { guard, fail } = require('./guard.js');
const native = require('./native.js');
const { follow, unfollow } = require('./signals.js');

/** A stream's strategy: nothing is asked for before somebody reads. */
const ON_DEMAND = Object.freeze({ __proto__: null, highWaterMark: 0 });

/**
 * The body of a response that is read as it comes: a stream that asks for a piece when its reader does. `upload` is the request's body, if
 * it may still be under way; `broke(error)` is told what it ends with and gives the error that its reader gets.
 */
function download(place, signal, upload, broke) {
  return new ReadableStream(new Download(place, signal, upload, broke), ON_DEMAND);
}

/**
 * What a body has to do with others: its signal ends it, and its end is that of the request's body, whose failure is its own. Both may
 * live long: they must not hold a body that nobody has any more.
 */
class Ties {
  static #gone = new FinalizationRegistry((ties) => ties.cut());
  #signal;
  #upload;
  #body;

  constructor(body, signal, upload) {
    this.#body = new WeakRef(body);
    this.#signal = signal;
    this.#upload = upload;
    Ties.#gone.register(body, this);
    if (signal) follow(signal, this);
    upload?.outlive((error) => this.abort(error));
  }

  abort(reason) {
    this.#body.deref()?.abort(reason);
  }

  cut(reason) {
    if (this.#signal) unfollow(this.#signal, this);
    this.#upload?.end(reason);
    this.#signal = this.#upload = null;
  }
}

class Download {
  type = 'bytes';
  #place;
  #ties;
  #controller;
  /** The piece that is read, and who waits for it. */
  #reading = null;
  #done = null;
  #broke;

  constructor(place, signal, upload, broke) {
    this.#place = place;
    this.#broke = broke;
    this.#ties = signal || upload ? new Ties(this, signal, upload) : null;
  }

  start(controller) {
    this.#controller = controller;
  }

  pull() {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#read();
    });
  }

  cancel(reason) {
    this.#close(reason);
  }

  /** The signal was aborted, or what is sent failed. */
  abort(reason) {
    this.#close(reason);
    this.#controller.error(reason);
  }

  /** A piece has come, or the end. */
  take(what, value) {
    waiting.delete(this.#reading);
    this.#reading = null;
    if (what === WHAT.ERROR) this.abort(this.#broke(fail(value)));
    else if (value === null) this.#finish();
    // A stream takes no empty pieces; its reader waits for the next one.
    else if (value.length === 0) return this.#read();
    else this.#controller.enqueue(value);
    this.#done();
  }

  #read() {
    this.#reading = guard(() => bridge.piece(this.#place));
    waiting.set(this.#reading, this);
  }

  #finish() {
    this.#close();
    this.#controller.close();
    // A reader that brought its own buffer waits until it is told.
    this.#controller.byobRequest?.respond(0);
  }

  #close(reason) {
    this.#ties?.cut(reason);
    if (this.#reading !== null) {
      waiting.delete(this.#reading);
      bridge.cancel(this.#reading);
      this.#reading = null;
    }
    native.closeStream(this.#place);
  }
}

module.exports = { download, ON_DEMAND };
