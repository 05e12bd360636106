'use strict';
// Whole calls by Envoy's rules, as in core/tests/behaviour/envoy_calls.rs: tests/vectors/dialects/envoy_calls.json.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createClient } = require('../index.js');
const { serve } = require('./support/server.js');
const { route, vectors } = require('./support/vectors.js');

/** Least and most of the planned wait before the first retry; null if the case does not say. */
function waitOf({ first_wait_ms: wait = null }) {
  return wait === null ? null : [wait].flat();
}

/** Nobody waits for seconds, and the script is told of connects that its server does not see. */
function callbacks(given, script, planned) {
  const wait = waitOf(given);
  const retryIf = ({ plannedWaitMs, verdict }) => {
    planned.push(plannedWaitMs);
    return verdict ? 0 : undefined;
  };
  const beforeRetry = ({ error }) => (error === 'connect' ? script.advance() : undefined);
  return { ...(wait?.[0] >= 1000 && { retryIf }), ...(given.script.some((outcome) => outcome.do === 'refused') && { beforeRetry }) };
}

function body({ body_size: size, stream }) {
  if (size === undefined) return {};
  const whole = Buffer.from(Array.from({ length: size }, (_, at) => (at % 65536) % 251));
  if (!stream) return { body: whole };
  const pieces = [];
  for (let at = 0; at < size; at += 10000) pieces.push(whole.subarray(at, at + 10000));
  return { body: (function* () { yield* pieces; })(), duplex: 'half' };
}

const { cases } = vectors('dialects/envoy_calls');

test('no case is lost', () => assert.equal(cases.length, 174));

for (const given of cases) {
  test(`envoy: ${given.name}`, async (t) => {
    const http2 = given.http2 === true || given.script.some((outcome) => outcome.do.startsWith('h2-'));
    const script = await serve(t, ...given.script, { http2 });
    const client = createClient({ policy: route(given), envoyHeaders: true, http2: http2 ? 'only' : 'none', delivery: 'buffered' });
    const { method, headers } = given.request;
    const planned = [];
    const ended = await client(script.url, { method, headers, ...body(given.request), ...callbacks(given, script, planned) }).catch((error) => error);
    const [status, kind] = ended instanceof Error ? [undefined, ended.kind] : [ended.status, undefined];
    assert.deepEqual([status, kind, ended.stopReason], [given.status, given.error, given.stop], ended instanceof Error ? ended.message : '');
    assert.equal(ended.attempts.length, given.sends);
    const wait = waitOf(given);
    if (wait !== null) {
      const first = planned[0] ?? ended.attempts[0].waitMs;
      assert.ok(wait[0] <= first && first <= wait.at(-1), `waits ${first} ms`);
    }
    if ('last_body' in given) await script.until((log) => log.at(-1).body_complete && log.at(-1).body_size === given.last_body);
    const log = await script.log();
    (given.bodies ?? []).forEach((size, i) => {
      assert.deepEqual([log[i].body_complete, log[i].body_size, log[i].body_sha256], [true, size, log[0].body_sha256]);
    });
    const fields = log.map((arrival) => Object.fromEntries(arrival.headers.map(([name, value]) => [name.toLowerCase(), value])));
    for (const [name, values] of Object.entries(given.seen ?? {})) assert.deepEqual(fields.map((field) => field[name]), values);
    for (const name of given.unseen ?? []) assert.ok(!fields.some((field) => name in field), name);
  });
}
