'use strict';
// Whose call it is that others send: a number, and what is known of its request.

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
    return name(method, url) ?? undefined;
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
    return undefined;
  }
}

module.exports = { identityOf };
