'use strict';
// Whole calls by Envoy's rules, as in core/tests/behaviour/envoy_calls.rs: tests/vectors/dialects/envoy_calls.json.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createClient, Policy } = require('../index.js');
const { serve } = require('./support/server.js');
const { vectors } = require('./support/vectors.js');

/** What needs no clock that leaps over long waits, nobody who moves the script on, and a route with a policy. */
function runnable({ route, script, first_wait_ms: wait = 0 }) {
  return 'retry_policy' in route && !script.some((outcome) => outcome.do === 'refused') && (wait === 0 || wait[1] < 100);
}

function body({ body_size: size, stream }) {
  if (size === undefined) return {};
  const whole = Buffer.from(Array.from({ length: size }, (_, at) => (at % 65536) % 251));
  if (!stream) return { body: whole };
  const pieces = [];
  for (let at = 0; at < size; at += 10000) pieces.push(whole.subarray(at, at + 10000));
  return { body: (function* () { yield* pieces; })(), duplex: 'half' };
}

const cases = vectors('dialects/envoy_calls').cases.filter(runnable);

test('enough of them run', () => assert.ok(cases.length >= 140, `${cases.length}`));

for (const given of cases) {
  test(`envoy: ${given.name}`, async (t) => {
    const http2 = given.http2 === true || given.script.some((outcome) => outcome.do.startsWith('h2-'));
    const script = await serve(t, ...given.script, { http2 });
    const [{ policy }] = Policy.readAll(JSON.stringify(given.route), 'envoy');
    const client = createClient({ policy, envoyHeaders: true, http2: http2 ? 'only' : 'none' });
    const { method, headers } = given.request;
    const ended = await client(script.url, { method, headers, ...body(given.request) }).catch((error) => error);
    const [status, kind] = ended instanceof Error ? [undefined, ended.kind] : [ended.status, undefined];
    assert.deepEqual([status, kind, ended.stopReason], [given.status, given.error, given.stop], ended instanceof Error ? ended.message : '');
    assert.equal(ended.attempts.length, given.sends);
    const log = await script.log();
    (given.bodies ?? []).forEach((size, i) => {
      assert.deepEqual([log[i].body_complete, log[i].body_size, log[i].body_sha256], [true, size, log[0].body_sha256]);
    });
    const fields = log.map((arrival) => Object.fromEntries(arrival.headers.map(([name, value]) => [name.toLowerCase(), value])));
    for (const [name, values] of Object.entries(given.seen ?? {})) assert.deepEqual(fields.map((field) => field[name]), values);
    for (const name of given.unseen ?? []) assert.ok(!fields.some((field) => name in field), name);
  });
}
