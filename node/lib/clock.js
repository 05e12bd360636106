'use strict';

const { follow, unfollow } = require('./signals.js');

/** The longest wait that a timer of JavaScript's takes. */
const LONGEST = 2 ** 31 - 1;
/** Clocks that leap, the innermost last: of tests. */
const virtual = [];

/** Under this a script among them has what answers clients. */
const SCRIPT = Symbol('script');

/** What answers clients in place of servers: the innermost script; undefined if there is none. */
const playing = () => (virtual.length > 0 ? virtual.findLast((time) => time[SCRIPT])?.[SCRIPT] : undefined);

/** Milliseconds on the host's monotonic clock, the one that clients count by: budgets may be shared with them. */
const monotonicNow = () => Number(process.hrtime.bigint()) / 1e6;

/** The time of adapters and functions: the host's, unless a test has it leap. */
const now = () => virtual.at(-1)?.now() ?? monotonicNow();

/** Waits; ends early with the reason of the signal. Timers are the global ones of the moment: those of tests may be. */
async function sleep(ms, signal) {
  signal?.throwIfAborted();
  const clock = virtual.at(-1);
  if (clock) return clock.wait(ms);
  let left = Math.ceil(ms);
  do {
    await once(Math.min(left, LONGEST), signal);
    left -= LONGEST;
  } while (left > 0);
}

function once(ms, signal) {
  return new Promise((resolve, reject) => {
    const who = { abort: (reason) => (clearTimeout(timer), reject(reason)) };
    const timer = setTimeout(() => {
      if (signal) unfollow(signal, who);
      resolve();
    }, ms);
    if (signal) follow(signal, who);
  });
}

/** Calls `fire` after so many milliseconds; what stops that. None that is longer than a timer takes: nobody waits that long for a response. */
function timer(ms, fire) {
  const clock = virtual.at(-1);
  if (clock) return clock.timer(ms, fire);
  if (ms > LONGEST) return () => {};
  const own = setTimeout(fire, Math.ceil(ms));
  return () => clearTimeout(own);
}

module.exports = { monotonicNow, now, playing, sleep, timer, virtual, SCRIPT };
