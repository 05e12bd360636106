'use strict';

const { bridge, waiting, WHAT } = require('./bridge.js');
const { guard, fail } = require('./guard.js');
const native = require('./native.js');
const { follow, unfollow } = require('./signals.js');

/** The body of a response that is read as it comes: a stream that asks for a piece when its reader does. */
function download(place, signal) {
  return new ReadableStream(new Download(place, signal), { highWaterMark: 0 });
}

class Download {
  type = 'bytes';
  #place;
  #signal;
  #controller;
  /** The piece that is read, and who waits for it. */
  #reading = null;
  #done = null;

  constructor(place, signal) {
    this.#place = place;
    this.#signal = signal;
  }

  start(controller) {
    this.#controller = controller;
    if (this.#signal) follow(this.#signal, this);
  }

  pull() {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#read();
    });
  }

  cancel() {
    this.#close();
  }

  /** The signal was aborted. */
  abort(reason) {
    this.#close();
    this.#controller.error(reason);
  }

  /** A piece has come, or the end. */
  take(what, value) {
    waiting.delete(this.#reading);
    this.#reading = null;
    if (what === WHAT.ERROR) this.abort(fail(value));
    else if (value === null) this.#finish();
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

  #close() {
    if (this.#signal) unfollow(this.#signal, this);
    if (this.#reading !== null) {
      waiting.delete(this.#reading);
      bridge.cancel(this.#reading);
      this.#reading = null;
    }
    native.closeStream(this.#place);
  }
}

module.exports = { download };
