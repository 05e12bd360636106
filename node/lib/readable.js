'use strict';

/** What a promise of a response has besides: its body in one await. */
const READERS = ['json', 'text', 'arrayBuffer', 'bytes', 'blob', 'formData'];
const prototype = Object.create(Promise.prototype);
for (const name of READERS) {
  Object.defineProperty(prototype, name, { value: async function () { return (await this)[name](); }, configurable: true, writable: true });
}

/** A promise of a response as one whose body can be read at once: `await client(url).json()`. */
function readable(promise) {
  return Object.setPrototypeOf(promise, prototype);
}

module.exports = { readable };
