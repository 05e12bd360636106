'use strict';
// The shared vectors: the same policies and the same messages as on every other surface.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const native = require('../lib/native.js');
const { ENVOY_HEADERS, Policy, ReknockError } = require('../index.js');
const { documents, floats, route, textOf, vectors } = require('./support/vectors.js');

const DEFAULT = new Policy().toJSON();

function policyOf(given) {
  const base = new Policy(given.base ?? {});
  if (!given.base && 'yaml' in given) return Policy.fromYaml(given.yaml);
  if (!given.base && 'json' in given) return Policy.fromJson(given.json);
  if (!given.base && 'toml' in given) return Policy.fromToml(given.toml);
  return inText(given) ? Policy.fromYaml(textOf(given.document)) : base.merge(floats(given.document));
}

/** What a policy is after it has been written down. */
function copies(policy) {
  return [new Policy(policy.toJSON()), Policy.fromJson(JSON.stringify(policy)), Policy.fromYaml(policy.toYaml()), Policy.fromYaml(`${policy}`), policy.merge({})];
}

function thrown(run) {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

const AS_TEXT = new Set(['unknown key retryOn', 'unknown key maxRetries', 'unknown camelCase in files', 'maxAttempts 3']);

/** What a text says, but no value of JavaScript: whole numbers that are floats or very large, and camelCase as a mistake. */
function inText({ name, document }) {
  return AS_TEXT.has(name) || (JSON.stringify(document) ?? '').includes('"$number"');
}

/** A document that is read as text has places, which its case does not know. */
function unplaced({ message }) {
  return message.replace(/^(JSON|YAML) line \d+, column \d+: /, '');
}

const config = documents('config').cases;

test('no case of config is lost', () => assert.equal(config.length, 522));

for (const given of config) {
  test(`config: ${given.name}`, () => {
    if ('error' in given) {
      const error = thrown(() => policyOf(given));
      assert.ok(error instanceof ReknockError);
      assert.equal(inText(given) ? unplaced(error) : error.message, given.error);
      assert.equal(error.kind, 'config');
      return;
    }
    const policy = policyOf(given);
    assert.deepEqual(policy.toJSON(), { ...DEFAULT, ...given.policy });
    for (const again of copies(policy)) assert.ok(again.equals(policy));
  });
}

test('a number too large for JavaScript may be a BigInt', () => {
  const { message } = thrown(() => new Policy({ max_retries: 18446744073709551615n }));
  assert.equal(message, 'max_retries: must be a whole number from 0 to 1000, got 18446744073709551615');
});

test('kinds and stop reasons are the list', () => {
  const { kinds, stop_reasons: reasons } = vectors('errors');
  const rows = (list) => list.map(({ code, number }) => [code, number]);
  assert.deepEqual(native.kinds().map((kind) => kind.slice(0, 2)), rows(kinds));
  assert.deepEqual(native.stopReasons().map((reason) => reason.slice(0, 2)), rows(reasons));
});

for (const given of vectors('dialects/presets').cases) {
  test(`preset: ${given.name}`, () => {
    if ('error' in given) assert.equal(thrown(() => Policy.preset(given.name)).message, given.error);
    else assert.deepEqual(Policy.preset(given.name).toJSON(), given.policy);
  });
}

for (const [file, count] of [['envoy', 145], ['kgateway', 59], ['linkerd', 74], ['ballerina', 66], ['ktor', 65], ['load', 79], ['istio', 51], ['envoy-gateway', 37], ['linkerd2', 39]]) {
  const { cases } = documents(`dialects/${file}`);
  test(`dialects: all of ${file}`, () => assert.equal(cases.length, count));
  for (const given of cases) {
    test(`dialects: ${file}: ${given.name}`, () => {
      const text = given.text ?? textOf(given.document);
      if ('error' in given) {
        const error = thrown(() => Policy.readAll(text, given.dialect));
        assert.equal('text' in given ? error.message : unplaced(error), given.error);
        assert.equal(error.code, 'REKNOCK_CONFIG');
        return;
      }
      const all = Policy.readAll(text, given.dialect);
      assert.equal(all.length, given.policies.length);
      all.forEach(({ name, dialect, policy, notes, explain }, i) => {
        const expected = given.policies[i];
        const base = Policy.preset(dialect === 'reknock' ? 'default' : dialect).toJSON();
        assert.deepEqual(policy.toJSON(), { ...base, ...expected.policy });
        assert.deepEqual([name ?? undefined, dialect], [expected.name, expected.dialect]);
        assert.deepEqual(notes.map((note) => (note.path ? `${note.path}: ${note.text}` : note.text)), expected.notes ?? []);
        for (const again of copies(policy)) assert.ok(again.equals(policy));
        assert.match(explain(), /^budget: /m);
      });
    });
  }
}

const { cases: requests, expected_rq_timeout_ms: expected } = vectors('dialects/request_headers');
test('request headers: all of them', () => assert.deepEqual([requests.length, expected.length], [55, 17]));

for (const given of requests) {
  test(`request headers: ${given.name}`, () => {
    const base = route(given);
    const lines = Object.entries(given.headers).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
    const policy = base.withEnvoyHeaders(lines);
    assert.deepEqual(policy.toJSON(), { ...base.toJSON(), ...given.policy });
    assert.ok(base.withEnvoyHeaders(new Headers(lines)).equals(policy));
    for (const again of copies(base)) assert.deepEqual(again.withEnvoyHeaders(lines).toJSON(), policy.toJSON());
    const kept = Object.keys(given.headers).filter((name) => !ENVOY_HEADERS.includes(name));
    assert.ok(!kept.some((name) => name.startsWith('x-envoy-')), `${kept}`);
  });
}

for (const given of expected) {
  test(`expected time: ${JSON.stringify(given)}`, () => {
    const policy = route(given);
    for (const each of [policy, ...copies(policy)]) assert.equal(each.expectedRqTimeoutMs(given.elapsed_ms), given.header || null);
  });
}

test('what is no time and no list of headers is refused', () => {
  const policy = new Policy({ timeout: '2s', perTryTimeout: 'none' });
  assert.equal(policy.expectedRqTimeoutMs(), 2000);
  assert.throws(() => policy.expectedRqTimeoutMs(-1), { name: 'ReknockError', message: /^elapsedMs: must be a number of milliseconds from 0, got -1/ });
  assert.throws(() => policy.withEnvoyHeaders('x-envoy-max-retries: 1'), TypeError);
  assert.throws(() => ENVOY_HEADERS.push('x'), TypeError);
});
