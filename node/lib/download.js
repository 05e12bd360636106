'use strict';

const { bridge, waiting, WHAT } = require('./bridge.js');
const { guard, fail } = require('./guard.js');
const native = require('./native.js');
const { follow, unfollow } = require('./signals.js');

/** The body of a response that is read as it comes: a stream that asks for a piece when its reader does. */
function download(place, signal) {
  return new ReadableStream(new Download(place, signal), { highWaterMark: 0 });
}

/** Ends a body when its signal says so. The signal may live long: it must not hold a body that nobody has any more. */
class Follower {
  static #gone = new FinalizationRegistry((follower) => follower.leave());
  #signal;
  #body;

  constructor(signal, body) {
    this.#signal = signal;
    this.#body = new WeakRef(body);
    Follower.#gone.register(body, this);
    follow(signal, this);
  }

  abort(reason) {
    this.#body.deref()?.abort(reason);
  }

  leave() {
    unfollow(this.#signal, this);
  }
}

class Download {
  type = 'bytes';
  #place;
  #follower;
  #controller;
  /** The piece that is read, and who waits for it. */
  #reading = null;
  #done = null;

  constructor(place, signal) {
    this.#place = place;
    this.#follower = signal && new Follower(signal, this);
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

  #close() {
    this.#follower?.leave();
    if (this.#reading !== null) {
      waiting.delete(this.#reading);
      bridge.cancel(this.#reading);
      this.#reading = null;
    }
    native.closeStream(this.#place);
  }
}

module.exports = { download };
