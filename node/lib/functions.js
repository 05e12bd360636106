'use strict';
// Retries around any asynchronous function.

const { wrongType } = require('./errors.js');
const { responseOf } = require('./failures.js');
const { limited } = require('./limits.js');
const { labelOf, loop, optionsOf } = require('./loop.js');

const OWN = ['origin', 'idempotent', 'on', 'result', 'signal'];

/**
 * The function with retries around it: the same arguments and `this`, its last value or its original error. Failures that are known to be of the network or
 * to have a status are retried as the policy says, others where `on` says so.
 */
function retrying(fn, options) {
  if (typeof fn !== 'function') throw wrongType(`retrying: must be given a function, got ${typeof fn}`);
  const own = optionsOf(options, fn.name || 'retrying', OWN);
  const { origin = '', idempotent = false, on, result, signal } = own;
  const wanted = on === undefined || on === null ? [] : [].concat(on);
  for (const one of wanted) if (typeof one !== 'function') throw wrongType(`on: must be a class of errors, a function, or a list of them, got ${typeof one}`);
  if (result !== undefined && typeof result !== 'function') throw wrongType(`result: must be a function, got ${typeof result}`);
  // The body of what it sends, if any, is its own business: it makes a new one each time.
  const call = {
    options: own, origin: `${origin || labelOf(own)}`, signal,
    method: idempotent ? 'GET' : 'POST',
    request: fn,
    responseOf: (thing) => (thing instanceof Error || result === undefined ? responseOf(thing) : undefined),
    judge: judging(wanted, result),
  };
  return async function (...args) {
    signal?.throwIfAborted();
    return loop({ ...call }, (attempt) => limited(attempt, signal, () => fn.apply(this, args)), drop);
  };
}

/** What its caller says of outcomes: undefined is nothing. */
function judging(on, result) {
  if (on.length === 0 && !result) return undefined;
  return (value, error) => {
    if (error === undefined) return result?.(value) ? true : undefined;
    return on.some((one) => matches(one, error)) || undefined;
  };
}

/** Whether an error is of a class, or a function says so. */
function matches(one, error) {
  const isClass = one.prototype instanceof Error || one === Error;
  return isClass ? error instanceof one : Boolean(one(error));
}

/** Frees what a response holds that is dropped. */
async function drop(value) {
  if (value instanceof Response && value.body && !value.body.locked) value.body.cancel().catch(() => {});
}

module.exports = { retrying };
