'use strict';
// Policies as values of JavaScript's.

const assert = require('node:assert/strict');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { inspect } = require('node:util');
const { createClient, Policy } = require('../index.js');

test('camelCase and snake_case say the same, at every depth', () => {
  const camel = new Policy({ maxRetries: 3, backoff: { firstUncapped: true }, retryAfter: { whenOver: 'cap', headers: [{ name: 'x-wait' }] } });
  const snake = new Policy({ max_retries: 3, backoff: { first_uncapped: true }, retry_after: { when_over: 'cap', headers: [{ name: 'x-wait' }] } });
  assert.ok(camel.equals(snake));
  assert.ok(!camel.equals(new Policy()));
  assert.ok(!camel.equals({}));
});

test('undefined is missing', () => {
  assert.ok(new Policy({ maxRetries: undefined }).equals(new Policy()));
  assert.ok(new Policy(undefined).equals(new Policy()));
});

test('false turns retries off and keeps the rest', () => {
  const off = new Policy({ timeout: '3s' }).merge(false).toJSON();
  assert.equal(off.max_retries, 0);
  assert.equal(off.timeout, '3s');
  assert.equal(new Policy(false).toJSON().max_retries, 0);
  assert.ok(Policy.none().equals(new Policy(false)));
});

test('does not change', () => {
  const policy = new Policy({ maxRetries: 3 });
  policy.merge({ maxRetries: 5 });
  policy.toJSON().max_retries = 9;
  assert.equal(policy.toJSON().max_retries, 3);
});

test('a bare number has no unit, and the message is the core\'s', () => {
  assert.throws(() => new Policy({ timeout: 3 }), { kind: 'config', code: 'REKNOCK_CONFIG', message: 'timeout: must be a duration with a unit, got 3; write "3s"' });
});

test('values that no document holds are named', () => {
  for (const [value, name] of [[new Date(), 'Date'], [() => {}, 'function'], [Symbol('x'), 'symbol'], [new Map(), 'Map']]) {
    assert.throws(() => new Policy({ methods: value }), { kind: 'config', message: new RegExp(`^methods: must be .*${name}`) });
  }
});

test('a document in a circle is refused', () => {
  const circle = {};
  circle.backoff = circle;
  assert.throws(() => new Policy(circle), Error);
});

test('a getter that throws throws', () => {
  const error = new Error('mine');
  assert.throws(() => new Policy({ get maxRetries() { throw error; } }), (caught) => caught === error);
});

test('prints what differs from the default', () => {
  const policy = new Policy({ maxRetries: 3 });
  assert.equal(inspect(policy), "Policy { max_retries: 3 }");
  assert.equal(`${policy}`.trim(), '{max_retries: 3}');
  assert.match(policy.explain(), /^worst case: 4 attempts/m);
  assert.match(policy.toYaml(), /^max_retries: 3$/m);
});

test('files', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'policy.yaml');
  writeFileSync(file, 'max_retries: 7\n');
  assert.ok(Policy.load(file).equals(new Policy({ maxRetries: 7 })));
  assert.ok(Policy.load(pathToFileURL(file)).equals(Policy.load(file)));
  assert.throws(() => Policy.load(path.join(folder, 'nowhere.yaml')), (error) => error.kind === 'config' && /nowhere/.test(error.message) && error.cause.code === 'ENOENT');
  const envoy = path.join(folder, 'route.yaml');
  writeFileSync(envoy, 'retry_policy: {num_retries: 2}\n');
  const [loaded] = Policy.loadAll(envoy);
  assert.throws(() => Policy.readAll('max_retries: 1', undefined, 'x'), { message: 'policy: must be asked for without a name, got "x"; none here has one' });
  assert.equal(loaded.dialect, 'envoy');
  assert.deepEqual(loaded.notes, [{ path: 'retry_policy.retry_on', text: 'not given: nothing is retried' }]);
  assert.ok(Policy.load(envoy).equals(loaded.policy));
  assert.deepEqual([Policy.load(envoy).notes, new Policy().notes], [loaded.notes, []]);
  assert.throws(() => Policy.loadAll(envoy, 'ktor'), { kind: 'config' });
  assert.throws(() => Policy.loadAll(envoy, 'envoi'), { kind: 'config', message: /did you mean "envoy"\?$/ });
});

test('a client has its policy', () => {
  const client = createClient({ policy: { maxRetries: 5 }, timeout: 2500 });
  assert.ok(client.policy.equals(new Policy({ maxRetries: 5, timeout: '2s500ms' })));
  assert.ok(createClient({ policy: new Policy({ maxRetries: 1 }) }).policy.equals(new Policy({ maxRetries: 1 })));
  assert.equal(createClient({ timeout: null }).policy.toJSON().timeout, 'none');
});

test('a preset by name is a policy', () => {
  const { PolicySet, lint } = require('../index.js');
  const llm = Policy.preset('llm').toString();
  assert.equal(createClient({ policy: 'llm' }).policy.toString(), llm);
  assert.equal(createClient({ policy: { maxRetries: 9 } }).extend({ policy: 'llm' }).policy.toString(), llm);
  assert.equal(new Policy({ maxRetries: 9 }).merge('llm').toString(), llm);
  assert.equal(new PolicySet({ policies: { a: 'llm' }, default: 'a' }).policyFor('GET http://a.test/').toString(), llm);
  assert.equal(lint('llm').toString(), lint(Policy.preset('llm')).toString());
  assert.throws(() => createClient({ policy: 'lm' }), { kind: 'config', message: /^policy: must be a map, or one of default, none, llm, .*; did you mean "llm"\?$/ });
});

test('options of clients: the core\'s messages', () => {
  for (const [options, message] of [
    [{ baseUlr: 'x' }, /^baseUlr: unknown key; did you mean baseUrl\?$/],
    [{ timeout: -1 }, /^timeout: must be a number of milliseconds from 0, got -1/],
    [{ headers: 5 }, /^headers: must be a map, or a list of pairs of a name and a value$/],
    [{ policy: { maxRetrys: 1 } }, /^maxRetrys: unknown key; did you mean maxRetries\?$/],
    [{ policy: null }, /^policy: must be a map, got null; write \{\} for the defaults, false for no retries$/],
    [{ http2: 'maybe' }, /^http2: must be one of auto, only, none, got "maybe"$/],
    [{ baseUrl: 'nonsense' }, /^base_?[uU]rl: /],
    [{ poolIdleTimeout: 'soon' }, /^pool_?[iI]dle_?[tT]imeout: must be a duration/],
  ]) {
    assert.throws(() => createClient(options), { kind: 'config', message }, JSON.stringify(options));
  }
  assert.throws(() => createClient({ retryIf: 'yes' }), TypeError);
});
