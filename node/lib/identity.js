'use strict';
// Whose call it is that others send: a number, and what is known of its request.

const native = require('./native.js');

/** The identity of one more call: `{native, shown}`, for the addon and for people. `call` is what `loop` is given. */
function identityOf({ method, url, origin, options: { name, who } }) {
  const own = url === undefined ? native.NativeIdentity.ofFunction(name ?? who, origin) : native.NativeIdentity.ofRequest(method, url, name);
  return { native: own, shown: own.shown() };
}

module.exports = { identityOf };
