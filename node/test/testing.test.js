'use strict';
// Scripts in place of servers: reknock/testing.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createClient, fetch: shared, retryFetch, ReknockError } = require('../index.js');
const { Script } = require('reknock/testing');

/** Nothing listens there: who gets past a script fails. */
const NOBODY = 'http://127.0.0.1:1/';
const HOURS = { backoff: { kind: 'linear', base: '1h', step: '1h', max: '3h' }, timeout: 'none', budget: 'none', methods: 'any' };
const HOUR = 3_600_000;

/** An open script; closed when the test is over. */
function script(t, ...args) {
  const made = new Script(...args);
  t.after(() => made.close());
  return made;
}

test('a script answers all clients while it is open', async (t) => {
  const early = createClient({ policy: HOURS });
  const answers = script(t, [503, 'reset', { status: 201, headers: { 'x-a': '1' }, json: { a: 1 } }]);
  const response = await createClient({ policy: HOURS }).post(NOBODY, { json: [1], headers: { 'x-b': '2' } });
  assert.deepEqual([response.status, response.headers.get('x-a'), await response.json(), response.elapsedMs], [201, '1', { a: 1 }, 3 * HOUR]);
  assert.deepEqual(answers.sends.map(({ atMs, method, url, headers, body }) => [atMs, method, url, headers.get('x-b'), body]), [0, HOUR, 3 * HOUR].map((at) => [at, 'POST', NOBODY, '2', '[1]']));
  assert.deepEqual(answers.waits, [HOUR, 2 * HOUR]);
  assert.deepEqual(response.attempts.map(({ waitMs }) => waitMs), [HOUR, 2 * HOUR, null]);
  assert.deepEqual([answers.remaining, answers.now()], [0, 3 * HOUR]);
  // Those made before, those that nobody made, and every way to call.
  for (const call of [early, early.get, shared, early.asFetch()]) assert.equal((await call(NOBODY)).status, 201);
  assert.deepEqual(await (await early.request(NOBODY)).body.json(), { a: 1 });
  assert.deepEqual(await (await early(NOBODY, { delivery: 'streamed' })).json(), { a: 1 });
  answers.close();
  await assert.rejects(early(NOBODY, { policy: false }), { kind: 'connect' });
});

test('one for one client, and scripts within scripts', async (t) => {
  const outer = script(t, [500]);
  const inner = script(t, [404]);
  const own = new Script([503, { status: 200, body: 'own' }]);
  own.close();
  const mine = createClient({ transport: own });
  assert.equal(await mine(NOBODY).text(), 'own');
  assert.equal((await createClient({ policy: false })(NOBODY)).status, 404);
  inner.close();
  assert.equal((await createClient({ policy: false })(NOBODY)).status, 500);
  assert.deepEqual([own, outer, inner].map(({ sends }) => sends.length), [2, 1, 1]);
  assert.throws(() => createClient({ transport: {} }), { name: 'TypeError', message: /^transport: must be a Script/ });
});

for (const [step, kind, ms] of [
  ['connect', 'connect', 0], ['connect_timeout', 'connect_timeout', 5000], ['tls', 'tls', 0], ['reset', 'reset', 0], ['refused_stream', 'refused_stream', 0], ['protocol', 'protocol', 0],
  ['per_try_timeout', 'per_try_timeout', 0], ['body', 'body', 0], ['hang', 'per_try_timeout', 20_000], [{ ends: 'stall' }, 'body', 20_000], [{ fail: 'reset', after: 70_000 }, 'per_try_timeout', 20_000],
]) {
  test(`a step that fails: ${JSON.stringify(step)}`, async (t) => {
    const answers = script(t, [step]);
    const client = createClient({ policy: { maxRetries: 0 }, timeout: 600_000 });
    await assert.rejects(client.request(NOBODY), (error) => {
      assert.ok(error instanceof ReknockError);
      assert.deepEqual([error.kind, error.attempts[0].durationMs, answers.now()], [kind, ms, ms]);
      return true;
    });
  });
}

test('hints, deadlines, budgets and callbacks are real; waits are the same in each run, and others with another seed', async (t) => {
  const run = async (seed) => {
    const answers = script(t, [{ status: 429, headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' } }, 503, 503, 200], { seed, now: new Date('2026-01-01T00:00:00Z') });
    const asked = [];
    const response = await createClient({ policy: { maxRetries: 5 }, retryIf: ({ status }) => void asked.push(status) })(NOBODY);
    assert.deepEqual([response.status, asked], [200, [429, 503, 503, 200]]);
    answers.close();
    return answers.waits;
  };
  const [first, ...others] = [await run(1), await run(1), await run(2)];
  assert.ok(first[0] >= 30_000 && first[0] <= 33_000);
  assert.deepEqual(others[0], first);
  assert.notDeepEqual(others[1], first);
  script(t, [503]);
  const client = createClient({ policy: { backoff: '10s', maxRetries: 9 }, timeout: 25_000 });
  assert.deepEqual(await client(NOBODY).then(({ stopReason, elapsedMs, attempts }) => [stopReason, elapsedMs, attempts.length]), ['deadline', 20_000, 3]);
  const poor = createClient({ policy: { maxRetries: 9, backoff: 'none', budget: { ratio: 0, minPerSecond: 0 } } });
  assert.equal((await poor(NOBODY)).stopReason, 'budget_exhausted');
  assert.equal(poor.budget(NOBODY).refusals, 1);
  poor.setPolicy({ maxRetries: 1, backoff: 'none' });
  assert.equal((await poor(NOBODY)).attempts.length, 2);
  poor.close();
  await assert.rejects(poor(NOBODY), { kind: 'closed' });
});

test('cookies, redirects and streams as ever', async (t) => {
  const answers = script(t, [{ status: 302, headers: [['location', '/next'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']] }, { body: 'there' }]);
  const client = createClient({ cookies: true });
  const response = await client.post('http://service.test/', { body: new Blob(['x']).stream(), duplex: 'half', redirect: 'manual' });
  assert.deepEqual([response.status, response.headers.getSetCookie()], [302, ['a=1', 'b=2']]);
  assert.equal(await (await client('http://service.test/')).text(), 'there');
  assert.deepEqual(answers.sends.map(({ method, body, headers }) => [method, body, headers.get('cookie')]), [['POST', 'x', null], ['GET', '', 'a=1; b=2']]);
  assert.equal(client.cookies.get('a'), '1');
});

test('steps for a method or a URL; strict scripts', async (t) => {
  const answers = script(t, [{ status: 404, url: '/a/*' }, { status: 201, method: 'post', url: 'http://service.test/b' }, 200]);
  const client = createClient({ policy: false });
  const seen = [];
  for (const [method, path] of [['GET', 'a/1?q'], ['POST', 'b'], ['GET', 'b']]) seen.push((await client(`http://service.test/${path}`, { method })).status);
  seen.push((await answers.fetch('http://service.test/a/2')).status);
  assert.deepEqual([seen, answers.remaining], [[404, 201, 200, 200], 0]);
  answers.close();

  const strict = new Script([200, 201], { strict: true });
  assert.deepEqual([(await strict.fetch(NOBODY)).status, strict.remaining], [200, 1]);
  assert.throws(() => strict.close(), { message: 'Script: 1 steps answered nothing' });
  strict.close();
  const missing = new Script([{ status: 200, url: '/here' }], { strict: true });
  const error = await client('http://service.test/there').catch((caught) => caught);
  assert.equal(error.kind, 'invalid_request');
  assert.match(error.cause.message, /no step of the script is for GET http:\/\/service\.test\/there/);
  assert.deepEqual(missing.missed, ['GET http://service.test/there']);
  assert.throws(() => missing.close(), { message: 'Script: 1 sent that no step was for, first GET http://service.test/there' });
});

test('one time for clients and for what sends by script.fetch', async (t) => {
  const answers = script(t, [503, { status: 200, after: 250 }, 503, 200]);
  await createClient({ policy: { backoff: '10s' } })(NOBODY);
  assert.equal(answers.now(), 10_250);
  await retryFetch(answers.fetch, { policy: { backoff: '1s' } })(NOBODY);
  answers.advance(1000);
  assert.deepEqual([answers.now(), answers.waits], [12_250, [1000, 10_000]]);
  assert.deepEqual(answers.sends.map(({ atMs }) => atMs), [0, 10_000, 10_250, 11_250]);
});

test('script.fetch: bodies that are cut', async (t) => {
  const answers = script(t, [{ body: 'abc', ends: 'cut' }, { body: new Uint8Array([104, 105]) }]);
  await assert.rejects((await answers.fetch(NOBODY)).text(), { name: 'TypeError', message: 'terminated' });
  assert.equal(await (await answers.fetch(NOBODY)).text(), 'hi');
});

test('what is no script', () => {
  for (const [steps, options, message] of [
    [[], {}, /at least one step/], ['x', {}, /a list/], [[99], {}, /status from 200 to 599/], [['nonsense'], {}, /status from 200 to 599/], [[{ staus: 1 }], {}, /a step has status/],
    [[{ ends: 'odd' }], {}, /whole, cut or stall/], [[{ method: 'a b' }], {}, /an HTTP method/], [[{ evidence: 'x' }], {}, /evidence/], [[{ after: -1 }], {}, /script/], [[{ body: 5 }], {}, /text or bytes/],
    [[200], { sed: 1 }, /an option is one of seed/], [[200], { seed: -1 }, /seed/],
  ]) {
    assert.throws(() => new Script(steps, options), (error) => error.name === 'TypeError' && message.test(error.message), `${message}`);
  }
  // None of them answers.
  return assert.rejects(createClient({ policy: false })(NOBODY), { kind: 'connect' });
});
