'use strict';
// The shared vectors: the same policies and the same messages as on every other surface.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const native = require('../lib/native.js');
const { Policy, ReknockError } = require('../index.js');
const { floats, vectors } = require('./support/vectors.js');

const DEFAULT = new Policy().toJSON();

function policyOf(given) {
  const base = new Policy(given.base ?? {});
  if (!given.base && 'yaml' in given) return Policy.fromYaml(given.yaml);
  if (!given.base && 'json' in given) return Policy.fromJson(given.json);
  if (!given.base && 'toml' in given) return Policy.fromToml(given.toml);
  return base.merge(floats(given.document));
}

function thrown(run) {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

/** What JavaScript cannot say, or may say. */
const ELSEWHERE = new Map([
  ['max_retries 3.0', 'JavaScript has one kind of numbers'],
  ['timeout 10000000000.0', 'JavaScript has one kind of numbers'],
  ['statuses [503.0]', 'JavaScript has one kind of numbers'],
  ['max_retries 18446744073709551615', 'JSON.parse rounds it'],
  ['count beyond ours', 'JSON.parse rounds it'],
  ['interval beyond reason', 'JavaScript has one kind of numbers'],
  ['unknown camelCase in files', 'its writer is answered in camelCase here'],
  ['maxAttempts 3', 'likewise'],
  ['unknown key retryOn', 'camelCase is welcome here'],
  ['unknown key maxRetries', 'camelCase is welcome here'],
]);
const config = vectors('config').cases.filter(({ name }) => !ELSEWHERE.has(name));
let ran = 0;

for (const given of config) {
  test(`config: ${given.name}`, () => {
    ran += 1;
    if ('error' in given) {
      const error = thrown(() => policyOf(given));
      assert.ok(error instanceof ReknockError);
      assert.equal(error.message, given.error);
      assert.equal(error.kind, 'config');
      return;
    }
    const policy = policyOf(given);
    assert.deepEqual(policy.toJSON(), { ...DEFAULT, ...given.policy });
    for (const again of [new Policy(policy.toJSON()), Policy.fromJson(JSON.stringify(policy)), Policy.fromYaml(policy.toYaml()), Policy.fromYaml(`${policy}`)]) {
      assert.ok(again.equals(policy));
    }
  });
}

test('no case of config is lost', () => {
  assert.equal(ran, config.length);
  assert.ok(ran >= 471, `${ran} ran`);
});

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

for (const [file, least] of [['envoy', 132], ['kgateway', 53], ['linkerd', 69], ['ballerina', 60], ['ktor', 61], ['load', 36]]) {
  const { cases } = vectors(`dialects/${file}`);
  test(`dialects: all of ${file}`, () => assert.ok(cases.length >= least));
  for (const given of cases) {
    const text = given.text ?? JSON.stringify(given.document);
    if (text.includes('$float') || ELSEWHERE.has(given.name)) continue;
    test(`dialects: ${file}: ${given.name}`, () => {
      if ('error' in given) {
        const error = thrown(() => Policy.readAll(text, given.dialect));
        // A document that is read as text has places, which its case does not know.
        const message = 'text' in given ? error.message : error.message.replace(/^JSON line \d+, column \d+: /, '');
        assert.equal(message, given.error);
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
        assert.match(explain(), /^budget: /m);
      });
    });
  }
}
