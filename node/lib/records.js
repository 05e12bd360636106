'use strict';

const { Retry } = require('./retry.js');

/** What was sent for results and errors of calls that others sent. */
const known = new WeakMap();

/** Leaves the records of a call on its result or error; nothing of that is seen. `whose` gives the identity of one that others sent. */
function leave(thing, retry, whose) {
  if ((typeof thing !== 'object' && typeof thing !== 'function') || thing === null) return;
  known.set(thing, { retry, whose, written: undefined });
}

/** What was left, written out when somebody asks, which few do. */
function written(left) {
  if (left.written === undefined) {
    const { attempts, stopReason } = left.retry;
    const timeline = left.whose ? Retry.native(left.retry).explain(left.whose()) : left.retry.explain();
    left.written = Object.freeze({ attempts: Object.freeze(attempts), stopReason, explain: () => timeline });
    left.retry = left.whose = null;
  }
  return left.written;
}

/**
 * What was sent for a response or an error of an adapter, a function that is retried or a client: `{attempts, stopReason, explain()}`; undefined if none of
 * them made it. An SDK's error tells of the response or the error that it was made of.
 */
function attemptsOf(thing) {
  for (const holder of [thing, thing?.response, thing?.cause, thing?.cause?.cause]) {
    if (holder === null || (typeof holder !== 'object' && typeof holder !== 'function')) continue;
    if (known.has(holder)) return written(known.get(holder));
    if (Array.isArray(holder.attempts) && typeof holder.explain === 'function') {
      return Object.freeze({ attempts: holder.attempts, stopReason: holder.stopReason, explain: () => holder.explain() });
    }
  }
  return undefined;
}

module.exports = { attemptsOf, leave };
