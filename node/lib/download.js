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
  return new Body(new Download(place, signal, upload, broke));
}

/** What is awaited of a reader's `closed` is the end: that is to be told although nobody reads. */
class Body extends (globalThis.ReadableStream ?? Object) {
  #source;

  constructor(source) {
    super(source, ON_DEMAND);
    this.#source = source;
  }

  getReader(options) {
    const reader = super.getReader(options);
    const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(reader), 'closed');
    const look = () => {
      this.#source.watch();
      return get.call(reader);
    };
    return Object.defineProperty(reader, 'closed', { get: look, configurable: true });
  }
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
  /** Somebody waits for the end: a piece is read ahead, and kept. */
  #watched = false;
  #ahead = null;
  #over = false;
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
      if (this.#ahead !== null) this.#give(this.#ahead);
      else if (this.#reading === null) this.#read();
    });
  }

  /** Reads on until there is a piece that nobody has asked for. */
  watch() {
    this.#watched = true;
    if (!this.#over && this.#reading === null && this.#ahead === null) this.#read();
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
    else if (this.#done === null) this.#ahead = value;
    else this.#give(value);
    this.#answered();
  }

  #give(piece) {
    this.#ahead = null;
    this.#controller.enqueue(piece);
    this.#answered();
    if (this.#watched) this.watch();
  }

  #answered() {
    this.#done?.();
    this.#done = null;
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
    this.#over = true;
    this.#ahead = null;
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
