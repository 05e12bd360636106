'use strict';
// Whose call it is that others send: a number, and what is known of its request.

const { wrongType } = require('./errors.js');
const native = require('./native.js');

/** The identity of one more call: `{native, shown}`, for the addon and for people. `call` is what `loop` is given. */
function identityOf({ method, url, origin, options: { name, who } }) {
  const named = typeof name === 'function' && url === undefined ? who : name;
  const own = url === undefined ? native.NativeIdentity.ofFunction(named ?? who, origin) : native.NativeIdentity.ofRequest(method, url, nameOf(named, method, url));
  return { native: own, shown: own.shown() };
}

/** A name, or what a function of a request makes of it. Its mistakes fail no call: they go where uncaught errors go. */
function nameOf(name, method, url) {
  if (typeof name !== 'function') return name;
  try {
    const made = name(method, url) ?? undefined;
    if (made !== undefined && typeof made !== 'string') throw wrongType(`name: must give a text or nothing, gave ${typeof made}`);
    return made;
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
    return undefined;
  }
}

module.exports = { identityOf };
