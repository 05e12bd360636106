'use strict';
// Whole calls on real sockets: what arrives at the server, and what comes back.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const reknock = require('../index.js');
const { createClient, Policy } = reknock;
const { FAST, serve, status, DONE, ECHO, NO } = require('./support/server.js');

const client = createClient({ policy: FAST });

/** The header fields of an echoed request. */
function fields(echo) {
  return Object.fromEntries(echo.headers);
}

test('methods arrive in the case that servers expect', async (t) => {
  for (const [given, sent] of [[undefined, 'GET'], ['patch', 'PATCH'], ['purge', 'purge'], ['head', 'HEAD']]) {
    const script = await serve(t, DONE);
    const response = await client(script.url, { method: given });
    assert.equal((await script.log())[0].method, sent);
    assert.equal(response.body === null, sent === 'HEAD');
  }
});

test('retries, and says so', async (t) => {
  const script = await serve(t, NO, { do: 'reset' }, DONE);
  const response = await client(script.url);
  assert.ok(response instanceof Response);
  assert.equal(await response.text(), 'done');
  assert.equal(response.stopReason, 'completed');
  assert.deepEqual(response.attempts.map(({ number, hop, status, error, evidence }) => [number, hop, status, error, evidence]), [
    [1, 0, 503, null, 'unknown'],
    [2, 0, null, 'reset', 'unknown'],
    [3, 0, 200, null, 'unknown'],
  ]);
  const [first, second, third] = response.attempts;
  assert.ok(first.waitMs >= 10 && second.startMs >= first.startMs + first.waitMs && third.waitMs === null && third.hintMs === null);
  assert.ok(response.elapsedMs >= third.startMs && third.durationMs > 0);
  assert.match(response.explain(), /#1 503 after .*, waits 10ms\n.*#2 reset .*\n.*#3 200 .*\n *= completed\n$/);
  assert.equal((await script.log()).length, 3);
});

test('the lean form', async (t) => {
  const script = await serve(t, NO, status(200, '{"a": 1}', { headers: [['set-cookie', 'a'], ['set-cookie', 'b'], ['X-A', '1']] }));
  const { statusCode, headers, body, attempts, stopReason, httpVersion, url, redirected } = await client.request(script.url);
  assert.deepEqual([statusCode, attempts.length, stopReason, httpVersion, url, redirected], [200, 2, 'completed', '1.1', `${script.url}/`, false]);
  assert.deepEqual([headers['set-cookie'], headers['x-a']], [['a', 'b'], '1']);
  assert.deepEqual(await body.json(), { a: 1 });
});

test('the last response is the result when retries are exhausted', async (t) => {
  const { url } = await serve(t, status(503, 'busy'));
  const response = await client(url);
  assert.deepEqual([response.status, await response.text(), response.stopReason, response.attempts.length], [503, 'busy', 'retries_exhausted', 3]);
});

test('a call\'s policy is merged, or replaces, or turns retries off', async (t) => {
  const { url } = await serve(t, NO);
  const patient = createClient({ policy: { ...FAST, maxRetries: 4 } });
  const attempts = async (policy) => (await patient(url, { policy })).attempts.length;
  assert.equal(await attempts(undefined), 5);
  assert.equal(await attempts({ maxRetries: 1 }), 2);
  assert.equal(await attempts({ statuses: [500] }), 1);
  assert.equal(await attempts(new Policy(FAST)), 3);
  assert.equal(await attempts(false), 1);
  await assert.rejects(attempts({ maxRetrys: 1 }), { kind: 'config', message: /^maxRetrys: unknown key/ });
  await assert.rejects(attempts(null), { kind: 'config' });
});

test('is a function, to be passed on', async (t) => {
  const { url } = await serve(t, DONE);
  const { fetch } = client;
  assert.equal(typeof client, 'function');
  for (const call of [client, fetch, reknock.fetch]) assert.equal(await (await call(url)).text(), 'done');
  assert.equal(await (await reknock.request(url)).body.text(), 'done');
});

test('verbs', async (t) => {
  const { url } = await serve(t, ECHO);
  for (const verb of ['get', 'post', 'put', 'patch', 'delete', 'options']) {
    const echo = await (await client[verb](`${url}/x`, { searchParams: { a: 1 }, headers: { 'x-a': '1' } })).json();
    assert.deepEqual([echo.method, echo.target, fields(echo)['x-a']], [verb.toUpperCase(), '/x?a=1', '1']);
  }
  for (const stream of [false, true]) {
    const response = await client.head(url, { stream });
    assert.equal(response.body, null);
    assert.equal(await response.text(), '');
  }
});

test('bodies arrive as they are, with their types and lengths', async (t) => {
  const { url } = await serve(t, ECHO);
  for (const [init, body, type, length] of [
    [{ body: 'hé' }, 'hé', 'text/plain;charset=UTF-8', '3'],
    [{ body: Buffer.from('abc') }, 'abc', undefined, '3'],
    [{ body: new Uint16Array([0x4142]) }, 'BA', undefined, '2'],
    [{ body: new URLSearchParams({ a: 'b c' }) }, 'a=b+c', 'application/x-www-form-urlencoded;charset=UTF-8', '5'],
    [{ body: new Blob(['abc'], { type: 'a/b' }) }, 'abc', 'a/b', '3'],
    [{ json: { a: [1] } }, '{"a":[1]}', 'application/json', '9'],
    [{ body: (async function* () { yield 'ab'; yield 'c'; })() }, 'abc', undefined, undefined],
    [{ body: '' }, '', 'text/plain;charset=UTF-8', '0'],
    [{}, '', undefined, '0'],
  ]) {
    const echo = await (await client.post(url, init)).json();
    const headers = fields(echo);
    assert.deepEqual([echo.body, headers['content-type'], headers['content-length']], [body, type, length]);
    assert.equal(headers['transfer-encoding'], length === undefined ? 'chunked' : undefined);
  }
});

test('a form arrives as the platform reads it', async (t) => {
  const { url } = await serve(t, ECHO);
  const form = new FormData();
  form.append('name', 'chair');
  form.append('file', new File(['content'], 'a.txt', { type: 'text/plain' }));
  const echo = await (await client.post(url, { body: form })).json();
  const read = await new Response(echo.body, { headers: { 'content-type': fields(echo)['content-type'] } }).formData();
  assert.equal(read.get('name'), 'chair');
  assert.deepEqual([read.get('file').name, await read.get('file').text()], ['a.txt', 'content']);
  assert.equal(fields(echo)['content-length'], `${Buffer.byteLength(echo.body)}`);
});

test('a Request is sent, again if need be', async (t) => {
  const script = await serve(t, NO, ECHO);
  const request = new Request(`${script.url}/x`, { method: 'PUT', headers: { 'x-a': '1' }, body: 'content' });
  const echo = await (await client(request)).json();
  assert.deepEqual([echo.method, echo.target, echo.body, fields(echo)['x-a'], fields(echo)['content-length']], ['PUT', '/x', 'content', '1', '7']);
  assert.equal(request.bodyUsed, true);
  await assert.rejects(client(request), TypeError);
});

test('what a client is given goes with every request', async (t) => {
  const { url } = await serve(t, ECHO);
  const own = createClient({ baseUrl: `${url}/v1/`, headers: { 'x-a': '1', 'x-b': '1' }, auth: ['me', 'secret'], policy: FAST });
  const echo = await (await own('orders', { headers: { 'x-b': '2' } })).json();
  const headers = fields(echo);
  assert.deepEqual([echo.target, headers['x-a'], headers['x-b'], headers.authorization], ['/v1/orders', '1', '2', `Basic ${btoa('me:secret')}`]);
  assert.match(headers['user-agent'], /^reknock\/\d/);
  for (const baseUrl of [new URL(url), `${url}/`]) {
    assert.equal((await (await createClient({ baseUrl })('x')).json()).target, '/x');
  }
});

test('extend', async (t) => {
  const { url } = await serve(t, ECHO);
  const base = createClient({ baseUrl: url, headers: { 'x-a': '1', 'x-b': '1' }, policy: { ...FAST, maxRetries: 4 } });
  const extended = base.extend({ headers: new Headers({ 'x-b': '2' }), policy: { timeout: '5s' }, timeout: 3000 });
  assert.ok(extended.policy.equals(new Policy({ ...FAST, maxRetries: 4, timeout: '3s' })));
  const headers = fields(await (await extended('/x')).json());
  assert.deepEqual([headers['x-a'], headers['x-b']], ['1', '2']);
  assert.ok(base.policy.equals(new Policy({ ...FAST, maxRetries: 4 })));
  base.close();
  assert.equal((await extended('/x')).status, 200);
});

test('redirects', async (t) => {
  const script = await serve(t, { do: 'redirect', status: 302, location: '$url/next' }, DONE);
  const response = await client(script.url);
  assert.deepEqual([response.redirected, response.url, response.attempts.map(({ hop }) => hop)], [true, `${script.url}/next`, [0, 1]]);
  const { url } = await serve(t, { do: 'redirect', status: 302, location: '$url/next' });
  const manual = await client(url, { redirect: 'manual' });
  assert.deepEqual([manual.status, manual.headers.get('location'), manual.redirected], [302, `${url}/next`, false]);
  await assert.rejects(client(url, { redirect: 'error' }), TypeError);
  const never = createClient({ followRedirects: false });
  assert.equal((await never(url)).status, 302);
  assert.equal((await never(new Request(url))).status, 302);
  await assert.rejects(never(url, { redirect: 'follow' }), { kind: 'too_many_redirects' });
  const few = createClient({ maxRedirects: 2, followRedirects: false });
  // The call turns them on, the client keeps saying how many.
  await assert.rejects(few(url, { redirect: 'follow' }), ({ attempts }) => attempts.length === 3);
});

test('statuses without a body, and an empty body', async (t) => {
  for (const code of [204, 304]) {
    const response = await client((await serve(t, status(code))).url);
    assert.deepEqual([response.status, response.body, await response.text()], [code, null, '']);
  }
  const empty = await client((await serve(t, status(200))).url);
  assert.ok(empty.body instanceof ReadableStream);
  assert.equal(await empty.text(), '');
  assert.equal(empty.bodyUsed, true);
});

test('header values are bytes, as fetch shows them', async (t) => {
  const { url } = await serve(t, status(200, '', { headers: [['x-a', 'é 中']] }));
  const expected = (await fetch(url)).headers.get('x-a');
  assert.equal((await client(url)).headers.get('x-a'), expected);
  assert.equal((await client.request(url)).headers['x-a'], expected);
});

test('an unusual status', async (t) => {
  const response = await client((await serve(t, status(799, 'odd'))).url);
  assert.deepEqual([response.status, response.ok, await response.text()], [799, false, 'odd']);
});

test('compressed bodies are read', async (t) => {
  for (const encoding of ['gzip', 'br', 'zstd', 'deflate']) {
    const { url } = await serve(t, status(200, 'squeezed', { encoding }));
    assert.equal(await (await client(url)).text(), 'squeezed');
  }
});

test('large bodies are whole, and memory of their own', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body_size: 3_000_000 });
  const bytes = await (await client(url)).bytes();
  assert.equal(bytes.length, 3_000_000);
  assert.ok(bytes.every((byte, i) => byte === (i % 65536) % 251));
  const buffer = await (await client(url)).arrayBuffer();
  assert.equal(structuredClone(buffer, { transfer: [buffer] }).byteLength, 3_000_000);
  const lean = await (await client.request(url)).body.arrayBuffer();
  assert.equal(structuredClone(lean, { transfer: [lean] }).byteLength, 3_000_000);
});

test('HTTP/2', async (t) => {
  const { url } = await serve(t, DONE, { http2: true });
  const own = createClient({ http2: 'only' });
  const responses = await Promise.all(Array.from({ length: 20 }, () => own(url)));
  assert.deepEqual(new Set(responses.map(({ httpVersion }) => httpVersion)), new Set(['2']));
});

test('budgets can be read', async (t) => {
  const { url } = await serve(t, NO);
  const own = createClient({ policy: { backoff: '1ms', budget: { ratio: 1, minPerSecond: 0, depositOn: 'call' } } });
  assert.equal(own.budget(url), null);
  const response = await own(url);
  assert.equal(response.stopReason, 'budget_exhausted');
  const { balance, deposits, withdrawals, refusals } = own.budget(url);
  assert.deepEqual([balance, deposits, withdrawals, refusals], [0, 1, 1, 1]);
});

test('many at once', async (t) => {
  const { url } = await serve(t, ECHO);
  const bodies = Array.from({ length: 200 }, (_, i) => `body ${i}`);
  const echoes = await Promise.all(bodies.map((body) => client.put(url, { body }).then((response) => response.json())));
  assert.deepEqual(echoes.map(({ body }) => body), bodies);
});

test('what fetch refuses rejects, and does not throw', async () => {
  for (const [input, init] of [['http://host/', { cache: 'no-store' }], ['http://host/', { body: {} }], [undefined, undefined]]) {
    await assert.rejects(client(input, init), Error);
    await assert.rejects(client.request(input, init), Error);
  }
});

test('null is no init, and takes back what a client has', async (t) => {
  const { url } = await serve(t, NO);
  for (const send of [client.fetch, client.request.bind(client), client.get.bind(client)]) assert.equal((await send(url, null)).stopReason, 'retries_exhausted');
  const strict = createClient({ policy: FAST, timeout: 1, throwHttpErrors: true, retryIf: () => 'stop', delay: () => 0, beforeRetry: () => { throw new Error('asked'); }, onEvent: () => { throw new Error('told'); } });
  const nothing = { timeout: null, throwHttpErrors: null, retryIf: null, delay: null, beforeRetry: null, onEvent: null, withBody: null, signal: null, redirect: null, headers: null, searchParams: null, method: null, body: null, stream: null };
  const response = await strict(url, nothing);
  assert.deepEqual([response.status, response.stopReason, response.attempts[0].waitMs], [503, 'retries_exhausted', 10]);
  await assert.rejects(strict(url, { ...nothing, policy: null }), { kind: 'config', message: /^policy: must be a map, got null; write \{\} for the defaults, false for no retries$/ });
});

test('text is UTF-8, whatever charset the server names', async (t) => {
  for (const charset of ['hex', 'undefined', 'utf-16', 'iso-8859-1', '"']) {
    const { url } = await serve(t, status(200, 'né', { headers: [['content-type', `text/plain; charset=${charset}`]] }));
    for (const stream of [false, true]) {
      assert.equal(await (await client(url, { stream })).text(), 'né');
      assert.equal(await (await client.request(url, { stream })).body.text(), 'né');
      assert.equal(await (await client(url, { stream })).clone().text(), 'né');
    }
  }
});
