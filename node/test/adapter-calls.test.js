'use strict';
// The shared scenarios of whole calls, tests/vectors/calls.json, through the adapters: the same decisions as a client's.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { retryFetch, attemptsOf } = require('../index.js');
const { retryInterceptor } = require('reknock/undici');
const { serve } = require('./support/server.js');
const { vectors } = require('./support/vectors.js');

/** What belongs to clients of our own: redirects, TLS and sizes are theirs here, records know nothing of their connections, and their connects have a limit of theirs. */
const NOT_OURS = ['connection', 'max_response_size', 'redirects', 'http2', 'tls', 'expect'];
const THEIRS = new Set(['connect-timeout']);
const OPINIONS = { stop: 'stop', none: undefined, true: true };

/** Bodies are handed out as they come: one that breaks is its reader's. */
const isOurs = ({ needs = [], expect, server, client }) =>
  !needs.some((need) => NOT_OURS.includes(need)) &&
  !Array.isArray(expect) &&
  !client &&
  !expect.attempts.some(({ error }) => error === 'body') &&
  ![server.script ?? server].flat().some((step) => THEIRS.has(step.do) || step.body_mode);

const cases = vectors('calls').cases.filter(isOurs);

function options({ policy = {}, retry_if: opinion }, events) {
  return {
    policy: policy === false ? false : { backoff: 'none', ...policy },
    ...(opinion !== undefined && { retryIf: () => OPINIONS[opinion] }),
    onEvent: (event) => events.push(event),
  };
}

function* pieces(whole) {
  for (let at = 0; at < whole.length; at += 10000) yield whole.subarray(at, at + 10000);
}

function init({ method = 'GET', headers = [], body }) {
  const whole = body && Buffer.from(Array.from({ length: body.size }, (_, at) => (at % 65536) % 251));
  return { method, headers, ...(body && (body.stream === 'once' ? { body: pieces(whole), duplex: 'half' } : { body: whole })) };
}

const brief = ({ status = null, error = null, evidence = 'unknown', hint_ms: hint = null, hintMs = hint }) => ({ status, error, evidence, hint: hintMs === null ? null : Math.round(hintMs) });

async function viaFetch(url, given, said) {
  const response = await retryFetch(undefined, said)(url, given);
  return { status: response.status, body: await response.text() };
}

/** By the dispatcher of an undici: its own of the test's. */
const viaUndici = (undici) => async (url, given, said) => {
  const agent = new undici.Agent({ keepAliveTimeout: 10 }).compose(retryInterceptor(said));
  const { body, duplex, ...rest } = given;
  const response = await undici.request(url, { ...rest, headers: given.headers.flat(), body, dispatcher: agent });
  return { status: response.statusCode, body: await response.body.text() };
};

/** What the platform's fetch does itself: it joins lines of one name, takes a 407 for an error, and repeats a 421. */
const OF_FETCH = new Set([
  'retriable-headers: one line of several matches',
  'the first line of Retry-After alone',
  '407 says that a POST was not processed',
  '421 says that a POST was not processed',
]);

const ways = { retryFetch: viaFetch };
for (const name of ['undici6', 'undici7']) ways[name] = viaUndici(require(name));

test('the scenarios that concern adapters', () => assert.ok(cases.length > 80, `${cases.length}`));

for (const [way, send] of Object.entries(ways)) {
  for (const given of cases) {
    if (way === 'retryFetch' && OF_FETCH.has(given.name)) continue;
    // Only a text or bytes of a fetch's can be sent again: what is iterated is kept by the interceptor alone.
    if (way === 'retryFetch' && given.request?.body?.stream === 'once' && given.expect.attempts.length > 1) continue;
    test(`${way}: ${given.name}`, async (t) => {
      const { script: outcomes, ...document } = Array.isArray(given.server) ? { script: given.server } : given.server;
      const script = await serve(t, ...outcomes, document);
      const events = [];
      const asked = given.request ?? {};
      const outcome = await send(script.url + (asked.path ?? '/'), init(asked), options(given, events)).catch((error) => ({ error }));
      const { expect } = given;
      const { attempts, stopReason } = events.at(-1) ?? {};
      assert.deepEqual([outcome.status, stopReason], [expect.status, expect.stop_reason], outcome.error?.stack);
      if (outcome.error) assert.deepEqual(attemptsOf(outcome.error).attempts, attempts);
      if (expect.body !== undefined) assert.equal(outcome.body, expect.body);
      assert.deepEqual(attempts.map(brief), expect.attempts.map(brief));
      const log = await script.until((arrivals) => arrivals.length >= given.sends);
      assert.equal(log.length, given.sends);
    });
  }
}
