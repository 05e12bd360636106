'use strict';

const { createHash } = require('node:crypto');

/** From the weakest. What is hashed otherwise counts as not there, as the standard has it. */
const HASHES = ['sha256', 'sha384', 'sha512'];
const EXPRESSION = /^(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})(?:\?.*)?$/i;

/** Whether bytes are one of those that a list of hashes promises: the strongest kind in it counts, and a list without any promises nothing. */
function isAsPromised(bytes, list) {
  const all = list.split(/[\t\n\f\r ]+/).map((text) => EXPRESSION.exec(text)).filter(Boolean).map(([, hash, digest]) => [HASHES.indexOf(hash.toLowerCase()), digest]);
  const strongest = Math.max(...all.map(([hash]) => hash));
  if (strongest < 0) return true;
  const own = createHash(HASHES[strongest]).update(bytes).digest();
  return all.some(([hash, digest]) => hash === strongest && own.equals(Buffer.from(digest, 'base64')));
}

module.exports = { isAsPromised };
