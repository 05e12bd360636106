'use strict';
// Policy sets: the shared vectors, calls by their rules, and what the command tells of them.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { createClient, Policy, PolicySet } = require('../index.js');
const { serve, status } = require('./support/server.js');
const { ROOT, vectors } = require('./support/vectors.js');

const { cases } = vectors('sets');
test('no case of sets is lost', () => assert.equal(cases.length, 41));

for (const given of cases) {
  test(`sets: ${given.name}`, () => {
    if ('error' in given) {
      assert.throws(() => PolicySet.read(given.text, given.dialect), { name: 'ReknockError', kind: 'config', message: given.error });
      return;
    }
    const set = PolicySet.read(given.text, given.dialect);
    assert.deepEqual(set.policies.map(({ name }) => name ?? null), given.policies);
    assert.deepEqual([set.rules, set.default], [given.rules, given.default]);
    assert.deepEqual(set.notes.map((note) => (note.path ? `${note.path}: ${note.text}` : note.text)), given.notes);
    for (const [request, [rule, policy]] of Object.entries(given.requests)) {
      const met = set.ruleFor(request);
      assert.deepEqual([met.rule, met.policy, met.match], [rule, policy, rule && given.rules[rule - 1].match]);
      assert.ok(set.explain(request).includes(set.policyFor(request).explain()));
    }
    const again = PolicySet.read(set.toYaml());
    assert.deepEqual(again.toJSON(), set.toJSON());
    assert.ok(new PolicySet(set.toJSON()).equals(again) && PolicySet.read(`${set}`).equals(again));
  });
}

/** One retry under /a of this server, three where the query says so, none of others. */
function two(url) {
  const { host } = new URL(url);
  return {
    policies: { one: { maxRetries: 1, backoff: 'none' }, three: { maxRetries: 3, backoff: 'none' }, none: false },
    rules: [
      { match: { host, path: { regex: '.*/a' }, methods: ['GET'] }, policy: 'one' },
      { match: { host, query: [{ name: 'more', exact: 'yes' }] }, policy: 'three' },
    ],
    default: 'none',
  };
}

for (const [name, make] of [['a document', (document) => document], ['a set', (document) => new PolicySet(document)], ['another client', null]]) {
  test(`calls have the policy of their rule: ${name}`, async (t) => {
    const script = await serve(t, status(503));
    const client = make ? createClient({ policy: make(two(script.url)) }) : createClient().extend({ policy: new PolicySet(two(script.url)) });
    const calls = [['/a'], ['/b', { searchParams: { more: 'yes' } }], ['/b'], ['/a', { policy: { maxRetries: 2 } }], ['/a', { policy: false }], ['/a', { timeout: 30_000 }], ['/b?more=yes', { policy: new Policy({ maxRetries: 0 }) }]];
    const sends = [];
    for (const [rest, options] of calls) sends.push((await client(script.url + rest, options)).attempts.length);
    assert.deepEqual(sends, [2, 4, 1, 3, 1, 2, 1]);
    assert.equal((await script.log()).length, 14);
  });
}

test('a client tells its policies, and lays settings over all of them', () => {
  const client = createClient({ policy: two('http://a.test'), timeout: 7000 });
  assert.deepEqual(client.policies.policies.map(({ policy }) => policy.toJSON().timeout), ['7s', '7s', '7s']);
  const more = client.extend({ policy: { connectTimeout: '1s' } });
  assert.deepEqual(more.policies.policies.map(({ policy }) => policy.toJSON().connect_timeout), ['1s', '1s', '1s']);
  assert.equal(more.policies.rules.length, 2);
  assert.equal(client.policy.toJSON().max_retries, 0);
  assert.throws(() => createClient({ policy: { policies: { a: {} }, rules: [{ policy: 'b' }] } }), /^ReknockError: rules\[0\]\.policy: must be the name/);
  assert.throws(() => client.policies.ruleFor('a.test'), /request: must be a method and an absolute http or https URL/);
});

test('the command', () => {
  const manifest = path.join(ROOT, 'tests/vectors/dialects/manifests/kgateway-route-option.yaml');
  const out = execFileSync(process.execPath, [path.join(ROOT, 'node/bin/reknock.js'), 'explain', manifest, '--for', 'GET http://retry.example/get'], { encoding: 'utf8' });
  assert.ok(out.startsWith('GET http://retry.example/get: rule 1 of 1, {host: "retry.example"}: retry\n\n# kgateway retry\n'), out);
});

test('policies are replaced by hand, and files are followed', async (t) => {
  const { url } = await serve(t, status(503));
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'policy.yaml');
  writeFileSync(file, 'max_retries: 1\nbackoff: none\n');
  const client = createClient({ policy: PolicySet.load(file, undefined, { watch: true }) });
  const follow = async (isSo) => {
    for (const end = Date.now() + 60_000; !isSo(); ) {
      assert.ok(Date.now() < end, 'the file was not followed');
      await client(url);
    }
  };
  assert.equal((await client(url)).attempts.length, 2);
  writeFileSync(file, 'max_retries: 2\nbackoff: none\n# changed\n');
  await follow(() => client.policy.toJSON().max_retries === 2);
  writeFileSync(file, 'max_retrys: 2\n');
  await follow(() => client.policyError !== null);
  assert.match(client.policyError.message, /max_retrys: unknown key; did you mean max_retries\?/);
  client.setPolicy({ maxRetries: 0 });
  assert.deepEqual([client.policyError, (await client(url)).attempts.length], [null, 1]);
  assert.throws(() => client.setPolicy({ maxRetrys: 1 }), { kind: 'config' });
});

test('a file is followed whatever is done to it, by each of two clients of one set', async (t) => {
  const { url } = await serve(t, status(200));
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const at = (...names) => path.join(folder, ...names);
  const file = at('policy.yaml');
  // As Kubernetes swaps the versions of a ConfigMap.
  const version = (name, text) => {
    mkdirSync(at(name));
    writeFileSync(at(name, 'policy.yaml'), text);
    symlinkSync(name, at('..next'));
    renameSync(at('..next'), at('..data'));
  };
  version('..1', 'max_retries: 1\n');
  symlinkSync('..data/policy.yaml', file);
  const policy = PolicySet.load(file, undefined, { watch: true });
  const clients = [createClient({ policy }), createClient({ policy })];
  const has = async (retries, refused) => {
    const isSo = (client) => client.policy.toJSON().max_retries === retries && (refused ? client.policyError?.message.includes(refused) : client.policyError === null);
    for (const end = Date.now() + 60_000; !clients.every(isSo); await new Promise((resolve) => setTimeout(resolve, 20))) {
      assert.ok(Date.now() < end, clients.map((client) => `${client.policy.toJSON().max_retries} ${client.policyError?.message}`).join());
      for (const client of clients) await client(url);
    }
  };
  version('..2', 'max_retries: 2\n');
  await has(2);
  writeFileSync(at('new'), 'max_retries: 3\n');
  renameSync(at('new'), file);
  await has(3);
  writeFileSync(file, 'max_retries: 4\nbackoff: {base: "1');
  await has(3, 'YAML line 2');
  unlinkSync(file);
  await has(3, 'No such file');
  mkdirSync(file);
  await has(3, 'directory');
  rmdirSync(file);
  writeFileSync(file, 'max_retries: 4\nbackoff: {base: "1s"}\n');
  await has(4);
});
