'use strict';
// Documents of meshes and gateways, and what their control planes make of them; whole manifests; what a real Ktor did.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { Policy, Retry } = require('../index.js');
const { ROOT, vectors } = require('./support/vectors.js');

const NONE = ['timeout', 'connect_timeout', 'per_try_timeout', 'idle_timeout', 'retry_on', 'statuses', 'backoff', 'retry_after', 'budget', 'idempotency_key'];
const OFF = { max_retries: 0, methods: 'any', max_body_buffer: 0, ...Object.fromEntries(NONE.map((key) => [key, 'none'])) };

const { cases: pairs } = vectors('dialects/meshes');
test('no pair is lost', () => assert.equal(pairs.length, 54));

for (const { id, dialect, documents, envoy, policies, error_names: named } of pairs) {
  test(`meshes: ${id}`, () => {
    const text = documents.map((document) => `---\n${JSON.stringify(document)}\n`).join('');
    for (const given of [undefined, dialect]) {
      if (named) {
        assert.throws(() => Policy.readAll(text, given), (error) => error.code === 'REKNOCK_CONFIG' && error.message.includes(named));
        continue;
      }
      const loaded = Policy.readAll(text, given);
      const expected = envoy
        ? Policy.readAll(JSON.stringify(envoy), 'envoy').map(({ policy }) => ({ policy }))
        : policies.map((one) => ({ name: one.name, policy: Policy.fromJson(JSON.stringify({ ...OFF, ...one.policy })) }));
      assert.deepEqual(loaded.map((one) => [one.dialect, one.policy.toJSON()]), expected.map((one) => [dialect, one.policy.toJSON()]));
      loaded.forEach(({ name }, i) => assert.ok(expected[i].name === undefined || name === expected[i].name, name));
    }
  });
}

const { about, ...manifests } = vectors('dialects/manifests/expected');
test('no manifest is lost', () => assert.ok(about && Object.keys(manifests).length === 12));

for (const [file, expected] of Object.entries(manifests)) {
  test(`manifests: ${file}`, () => {
    const loaded = Policy.loadAll(path.join(ROOT, 'tests/vectors/dialects/manifests', file));
    assert.deepEqual(loaded.map(({ dialect, name }) => [dialect, name]), expected.map(({ dialect, name }) => [dialect, name]));
    loaded.forEach(({ policy }, i) => {
      for (const [key, value] of Object.entries(expected[i].policy)) {
        const [actual, written] = [policy.toJSON()[key], Policy.fromJson(JSON.stringify({ [key]: value })).toJSON()[key]];
        const isBlock = typeof value === 'object' && !Array.isArray(value);
        if (!isBlock) assert.deepEqual(actual, written, key);
        else for (const inner of Object.keys(value)) assert.deepEqual(actual[inner], written[inner], `${key}.${inner}`);
      }
    });
  });
}

/** What is done otherwise here, and why: docs/dialects/ktor.md. */
const DEVIATIONS = ['hint.5.constantDelay.True', 'hint.11.constantDelay.True', 'hint.15.exponentialDelay.True', 'hint.16.constantDelay.True', 'hint.ms'];
const KINDS = { reset: 'reset', close: 'reset', garbage: 'protocol', refused: 'connect', cut: 'body' };

/** The waits of a call whose sends end so, in whole milliseconds, and how many a server would have seen. */
function replayed({ calls, script, method = 'GET' }) {
  const plugin = Object.fromEntries(calls.map(([name, given]) => [name, name === 'maxRetries' ? given.value : given]));
  const [{ policy }] = Policy.readAll(JSON.stringify({ HttpRequestRetry: plugin }), 'ktor');
  const retry = new Retry(policy, { method, now: 0 });
  const waits = [];
  let [now, seen] = [0, 0];
  for (let n = 0; ; n += 1) {
    const step = script[Math.min(n, script.length - 1)];
    retry.attempt(now);
    if (step.do !== 'refused') seen += 1;
    retry.classify(step.do === 'status' ? { status: step.status, headers: step.headers ?? [] } : { error: KINDS[step.do] }, Date.now(), now);
    const { waitMs } = retry.decide({}, now);
    if (waitMs === null) return { status: step.status, seen, waits };
    waits.push(Math.floor(waitMs + 1e-6));
    now += waitMs;
  }
}

const { cases: recorded } = vectors('dialects/ktor_recorded');
// A limit's recordings are of a clock, which the machine alone has not.
const timeless = recorded.filter((given) => !given.timeout);
test('no recording is lost', () => assert.deepEqual([recorded.length, timeless.length], [395, 370]));

for (const given of timeless) {
  test(`ktor: ${given.id}`, () => {
    const { status, seen, waits } = replayed(given);
    const wanted = given.observed;
    const random = given.calls.some(([, { randomizationMs }]) => randomizationMs > 0);
    const sameWaits = waits.length === wanted.waits.length && (random || waits.every((wait, i) => wait === wanted.waits[i]));
    const agrees = status === wanted.status && seen === wanted.seen && sameWaits;
    assert.equal(agrees, !DEVIATIONS.includes(given.id), JSON.stringify({ status, seen, waits, wanted }));
  });
}
