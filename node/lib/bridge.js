'use strict';

const native = require('./native.js');

/** What an entry of a batch is: one of these, or a response by its status, negative if its body is still to be read. */
const WHAT = { ERROR: 0, QUESTION: 1, PIECE: 2, EVENTS: 3, PULL: 4, GONE: 5 };
/** The number of the call, what it is, and two values of that. */
const STRIDE = 4;

/** This environment's way to the runtime and back. */
const bridge = new native.Bridge(wake);
/** Who waits for something under a number: has `take(what, value, more)`. */
const waiting = new Map();

/** Hands out what has come. Runs nothing of the user's: that is for those who wait. */
function wake() {
  const batch = bridge.drain();
  for (let at = 0; at < batch.length; at += STRIDE) {
    // Nobody, if the call was cancelled a moment ago.
    waiting.get(batch[at])?.take(batch[at + 1], batch[at + 2], batch[at + 3]);
  }
}

module.exports = { bridge, waiting, WHAT };
