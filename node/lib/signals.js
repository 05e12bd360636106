'use strict';

/** Those who end when a signal is aborted. One listener per signal, however many follow it; none once nobody does. */
const followers = new WeakMap();

/** Has `who.abort(reason)` called when the signal is aborted. */
function follow(signal, who) {
  let known = followers.get(signal);
  if (known === undefined) {
    known = { all: new Set(), listener: () => abortAll(signal) };
    followers.set(signal, known);
    signal.addEventListener('abort', known.listener, { once: true });
  }
  known.all.add(who);
}

function unfollow(signal, who) {
  const known = followers.get(signal);
  if (known === undefined || !known.all.delete(who) || known.all.size > 0) return;
  followers.delete(signal);
  signal.removeEventListener('abort', known.listener);
}

function abortAll(signal) {
  const { all } = followers.get(signal);
  followers.delete(signal);
  for (const who of all) who.abort(signal.reason);
}

module.exports = { follow, unfollow };
