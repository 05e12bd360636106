'use strict';

const { RetryRequest } = require('./attempt.js');
const { wrongType } = require('./errors.js');

/** The hooks of a client around its calls: each a list of functions. */
const AROUND = ['beforeRequest', 'afterResponse'];

/** The hooks of options, after those of `base`. */
function aroundOf(options, base = {}) {
  const all = {};
  for (const name of AROUND) {
    const own = options[name] === undefined || options[name] === null ? [] : [].concat(options[name]);
    for (const hook of own) if (typeof hook !== 'function') throw wrongType(`${name}: must be a function or a list of functions, got ${typeof hook}`);
    all[name] = [...(base[name] ?? []), ...own];
  }
  return all;
}

/** The request as hooks see and edit it; `given` is what `fetchCall` made. */
function requestOf({ method, url, headers }) {
  return new RetryRequest({ method, url, headers, pending: null });
}

/** `given` with what hooks made of the request. */
function edited(given, request) {
  const [, url, headers, bytes] = RetryRequest.edits(request);
  return { ...given, url: url ?? given.url, headers: headers ?? given.headers, body: bytes === null ? given.body : { kind: 'bytes', bytes } };
}

/** Asks the hooks before a call, in order; the response of the first that gives one. */
async function before(hooks, request) {
  for (const hook of hooks) {
    const answer = await hook(request);
    if (answer instanceof Response) return answer;
    if (answer !== undefined && answer !== null) throw wrongType(`beforeRequest: must return a Response or nothing, got ${typeof answer}`);
  }
  return undefined;
}

/** Shows a response to the hooks, in order: the response that came of it, and whether one asks for the call to be made again. */
async function after(hooks, response, request) {
  for (const hook of hooks) {
    const answer = await hook(response, request);
    if (answer === 'retry') return { response, retry: true };
    if (answer instanceof Response) response = answer;
    else if (answer !== undefined && answer !== null) throw wrongType(`afterResponse: must return a Response, 'retry' or nothing, got ${typeof answer}`);
  }
  return { response, retry: false };
}

module.exports = { after, aroundOf, before, edited, requestOf, AROUND };
