'use strict';

const { shown, wrongType } = require('./errors.js');
const { page } = require('./page.js');

/**
 * What the platform's init has besides what we honour. `values`: what it may be (others are TypeErrors of the platform's, too); `harmless`: what
 * changes nothing that a client without a cache, an origin or a page sends (all, if it is missing).
 */
const FIELDS = {
  mode: { values: ['cors', 'no-cors', 'same-origin'] },
  credentials: { values: ['omit', 'same-origin', 'include'] },
  // Nothing is cached: there is never an answer to what only a cache may answer.
  cache: { values: ['default', 'no-store', 'reload', 'no-cache', 'force-cache'] },
  referrer: { check: (value) => value === '' || URL.canParse(value, page()) },
  referrerPolicy: {
    values: [
      '', 'no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin', 'origin-when-cross-origin',
      'strict-origin-when-cross-origin', 'unsafe-url',
    ],
  },
  priority: { values: ['high', 'low', 'auto'] },
  duplex: { values: ['half'] },
  window: { check: () => false },
  dispatcher: { harmless: [] },
};
const NAMES = Object.keys(FIELDS);
/** Of these a Request tells. */
const OF_REQUEST = ['mode', 'cache'];
const warned = new Set();

/** Looks at the fields of an init that we do not honour; what would change what is sent is refused, or, if `lenient`, passed over with a warning. */
function checkInit(options, request, lenient) {
  if (typeof options !== 'object' && typeof options !== 'function') throw wrongType(`init: must be an object, got ${typeof options}`);
  for (const name of NAMES) {
    const value = options[name];
    if (value !== undefined && value !== null) check(name, value, lenient);
    else if (request && OF_REQUEST.includes(name)) check(name, request[name], lenient);
  }
}

function check(name, value, lenient) {
  const { values, harmless, check: valid } = FIELDS[name];
  if (values?.includes(`${value}`) === false || valid?.(`${value}`) === false) {
    throw wrongType(`${name}: must be ${values ? values.map((one) => `'${one}'`).join(', ') : name === 'window' ? 'null' : 'a URL'}, got ${shown(value)}`);
  }
  if (harmless === undefined || harmless.includes(value)) return;
  const message = `${name}: ${shown(value)} would change what is sent, and is not supported`;
  if (!lenient) throw wrongType(`${message}; leave it out, or pass on client.asFetch(), which passes over it`);
  if (warned.has(name)) return;
  warned.add(name);
  process.emitWarning(`reknock: ${message}: it is passed over`, { code: 'REKNOCK_INIT' });
}

module.exports = { checkInit };
