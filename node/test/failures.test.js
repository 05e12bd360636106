'use strict';
// Every kind of failure, and the four timeouts, on real sockets.

const assert = require('node:assert/strict');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { createClient, ReknockError } = require('../index.js');
const { FAST, serve, status, HANG, NO } = require('./support/server.js');
const { vectors } = require('./support/vectors.js');

const ONCE = { ...FAST, maxRetries: 0 };
const seen = new Set();

/** The error of a call, seen through `fetch` and through `request`. */
async function failing(kind, url, options = {}, init = {}) {
  const client = createClient({ policy: ONCE, ...options });
  let error;
  for (const send of [client.fetch, client.request.bind(client)]) {
    error = await send(url, init).then(
      (response) => assert.fail(`it gave ${response.status ?? response.statusCode}`),
      (error) => error,
    );
    assert.ok(error instanceof ReknockError, error);
    assert.equal(error.kind, kind, error.message);
    assert.equal(error.code, `REKNOCK_${kind.toUpperCase()}`);
    assert.ok(error.message.length > 0);
  }
  client.close();
  seen.add(kind);
  return error;
}

for (const [kind, outcome, options] of [
  ['connect', { do: 'refused' }],
  ['reset', { do: 'reset' }],
  ['reset', { do: 'close' }],
  ['refused_stream', { do: 'h2-rst' }, { http2: 'only' }],
  ['protocol', { do: 'garbage' }],
  ['body', { do: 'status', status: 200, body: 'cut', body_mode: 'truncate-fin', after: 1 }],
  ['too_many_redirects', { do: 'redirect', status: 302, location: '$url/again' }, { maxRedirects: 3 }],
  ['response_too_large', status(200, 'x'.repeat(100)), { maxResponseSize: 10 }],
]) {
  test(`${kind} by ${outcome.do}`, async (t) => {
    const error = await failing(kind, (await serve(t, outcome)).url, options);
    assert.equal(error.attempts.at(-1).error, kind);
    assert.equal(error.status, kind === 'body' ? 200 : error.status);
    assert.ok(error.stopReason);
    assert.match(error.explain(), new RegExp(`#1 .*\\n(.*\\n)*.*= ${error.stopReason}`));
  });
}

test('tls: a certificate that nobody vouches for', async (t) => {
  for (const tls of ['self-signed', 'expired', 'wrong-host']) {
    const script = await serve(t, status(200, 'safe'), { tls });
    const error = await failing('tls', script.url, script.ca ? { caBundle: script.ca } : {});
    assert.equal(error.attempts[0].evidence, 'not_sent');
  }
});

test('tls: with the authority as text, in a file, or without verification', async (t) => {
  const script = await serve(t, status(200, 'safe'), { tls: 'trusted' });
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'ca.pem'), script.ca);
  await failing('tls', script.url);
  for (const options of [{ caBundle: script.ca }, { caBundle: path.join(folder, 'ca.pem') }, { verify: false }]) {
    assert.equal(await (await createClient(options)(script.url)).text(), 'safe');
  }
  assert.throws(() => createClient({ caBundle: path.join(folder, 'nowhere') }), { kind: 'config', message: /^ca_?[bB]undle: must be PEM text or the path of a file/ });
});

for (const [kind, limits, outcome] of [
  ['deadline', { timeout: '100ms' }, HANG],
  ['connect_timeout', { connectTimeout: '100ms' }, { do: 'connect-timeout' }],
  ['per_try_timeout', { perTryTimeout: '100ms' }, HANG],
  ['body', { idleTimeout: '100ms' }, { do: 'status', status: 200, body: 'stall', body_mode: 'stall' }],
]) {
  test(`timeouts: ${Object.keys(limits)}`, async (t) => {
    const error = await failing(kind, (await serve(t, outcome)).url, { policy: { ...ONCE, ...limits }, delivery: 'buffered' });
    assert.ok(error.attempts[0].durationMs >= 99, error.explain());
  });
}

test('timeouts: of a call, in milliseconds', async (t) => {
  const error = await failing('deadline', (await serve(t, HANG)).url, {}, { timeout: 80 });
  assert.equal(error.stopReason, 'deadline');
  assert.match(error.message, /timeout/);
});

test('timeouts: a wait that does not fit is not begun', async (t) => {
  const script = await serve(t, NO);
  const response = await createClient({ policy: { ...FAST, backoff: '10m' } })(script.url, { timeout: 30_000 });
  assert.equal(response.status, 503);
  assert.equal(response.stopReason, 'deadline');
});

test('config', () => {
  assert.throws(() => createClient({ policy: { maxRetries: -1 } }), { kind: 'config' });
  seen.add('config');
});

for (const [url, init, message] of [
  ['nonsense', {}, 'url: must be absolute, such as http://host/path'],
  ['ftp://host/', {}, 'url: the scheme must be http or https, got "ftp"'],
  ['http://host/', { method: 'G T' }, 'method: must be a token such as GET, got "G T"'],
  ['http://127.0.0.1:1/', { headers: { 'x-a': 'a\nb' } }, 'header "x-a": the value must not contain control characters such as line breaks'],
  ['http://127.0.0.1:1/', { headers: [['x a', 'b']] }, /^header "x a": the name must be a token/],
  ['http://127.0.0.1:1/', { method: 'POST', body: 'abc', headers: { 'content-length': '9' } }, /^header "content-length": must be 3 as the body is/],
]) {
  test(`invalid_request: ${url} ${JSON.stringify(init)}`, async () => {
    const error = await failing('invalid_request', url, {}, init);
    if (message instanceof RegExp) assert.match(error.message, message);
    else assert.equal(error.message, message);
    assert.deepEqual(error.attempts, []);
    assert.equal(error.stopReason, null);
  });
}

test('callback: an answer that is none', async (t) => {
  const { url } = await serve(t, NO);
  for (const [hooks, message] of [
    [{ retryIf: () => 'yes' }, /^retry_?[iI]f: must .*"yes"/],
    [{ retryIf: () => -1 }, /^retry_?[iI]f: /],
    [{ retryIf: async () => NaN }, /^retry_?[iI]f: /],
    [{ delay: () => true }, /^delay: must /],
    [{ delay: () => '1s' }, /^delay: must /],
  ]) {
    const error = await failing('callback', url, { policy: FAST }, hooks);
    assert.match(error.message, message);
  }
});

test('closed', async (t) => {
  const script = await serve(t, HANG);
  const client = createClient({ policy: FAST });
  const call = client(script.url);
  await script.until((log) => log.length === 1);
  await client[Symbol.asyncDispose]();
  await assert.rejects(call, { kind: 'closed', stopReason: 'closed' });
  await assert.rejects(client(script.url), { kind: 'closed' });
  await script.until(([arrival]) => 'client_gone_ms' in arrival);
  seen.add('closed');
});

test('http_status, with the response', async (t) => {
  const script = await serve(t, status(404, 'not here'));
  const client = createClient({ policy: FAST, throwHttpErrors: true });
  for (const send of [client.fetch, client.request.bind(client)]) {
    const error = await send(script.url).catch((error) => error);
    assert.ok(error instanceof ReknockError);
    assert.equal(error.kind, 'http_status');
    assert.equal(error.status, 404);
    assert.match(error.message, /404/);
    assert.equal(error.stopReason, 'not_retryable');
    assert.equal(error.attempts.length, 1);
    assert.equal(await error.response.text(), 'not here');
  }
  assert.equal((await client(script.url, { throwHttpErrors: false })).status, 404);
  assert.equal((await createClient()(script.url)).status, 404);
});

test('every kind was seen', () => {
  // A cancel is the caller's own reason (abort.test.js); an internal error is a bug.
  const missing = vectors('errors').kinds.map(({ code }) => code).filter((code) => !seen.has(code));
  assert.deepEqual(missing, ['cancelled', 'internal']);
});
