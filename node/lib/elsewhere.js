'use strict';

const { isRequest } = require('./input.js');

/** What HTTP does not go to, and the platform knows. Its fetch as it was at first: the global one may be ours by now. */
const ELSEWHERE = /^\s*(?:data|blob):/i;
const platform = globalThis.fetch;
/** Nothing was sent. */
const RECORDS = { attempts: Object.freeze([]), stopReason: 'completed', elapsedMs: 0, explain: () => '' };

function isElsewhere(input) {
  return ELSEWHERE.test(isRequest(input) ? input.url : typeof input === 'string' || input instanceof URL ? `${input}` : '');
}

async function elsewhere(input, init) {
  return Object.defineProperties(await platform(input, init), Object.getOwnPropertyDescriptors(RECORDS));
}

module.exports = { elsewhere, isElsewhere };
