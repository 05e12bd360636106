'use strict';
// What fetch does, and libraries built on it count on.

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { test } = require('node:test');
const { createClient, ReknockError } = require('../index.js');
const { raw, chunk, END } = require('./support/raw.js');
const { FAST, news, serve, status, DONE, HANG, NO } = require('./support/server.js');

const client = createClient({ policy: FAST });
const once = createClient({ policy: false });
const lenient = once.asFetch();

test('a failure of the network is a TypeError that says which one', async (t) => {
  for (const [outcome, kind, code, words] of [
    [{ do: 'refused' }, 'connect', 'ECONNREFUSED', 'fetch failed'],
    [{ do: 'close' }, 'reset', 'UND_ERR_SOCKET', 'fetch failed'],
    [{ do: 'garbage' }, 'protocol', undefined, 'fetch failed'],
    [{ do: 'redirect', status: 302, location: '$url/again' }, 'too_many_redirects', undefined, 'fetch failed'],
    [{ do: 'status', status: 200, body: 'cut', body_mode: 'truncate-fin', after: 1 }, 'body', 'UND_ERR_SOCKET', 'terminated'],
  ]) {
    const { url } = await serve(t, outcome);
    for (const send of [once, once.get, lenient]) {
      const error = await send(url).then(() => assert.fail('it was fulfilled'), (caught) => caught);
      assert.equal(error.constructor, TypeError);
      assert.equal(error.message, words);
      assert.ok(error.cause instanceof ReknockError && error instanceof ReknockError);
      assert.deepEqual([error.kind, error.cause.kind, error.code], [kind, kind, `REKNOCK_${kind}`.toUpperCase()]);
      if (code) assert.equal(error.cause.code, code);
      assert.equal(error.attempts, error.cause.attempts);
      assert.equal(error.explain(), error.cause.explain());
    }
    // What is no fetch has errors of its own.
    await assert.rejects(once.request(url), (error) => error.constructor === ReknockError && error.kind === kind);
  }
  assert.equal(new TypeError('mine') instanceof ReknockError, false);
});

test('a URL, a method or a header field that cannot be is a TypeError', async () => {
  for (const [url, init] of [['http://', {}], ['mailto:a@b', {}], ['http://h/', { method: 'a b' }], ['http://h/', { headers: { 'a b': '1' } }], ['http://h/', { headers: { a: 'x\ny' } }]]) {
    await assert.rejects(once(url, init), { name: 'TypeError', kind: 'invalid_request' });
  }
});

test('what the platform makes a request of, and does not send, fails as a fetch', async (t) => {
  const streamed = () => ({ method: 'POST', body: new ReadableStream(), duplex: 'half' });
  for (const [url, make] of [['mailto:a@b', () => ({})], ['invalid:', streamed], ['http://h/', () => ({ headers: { 'transfer-encoding': 'x' } })]]) {
    const failed = { name: 'TypeError', message: 'fetch failed', kind: 'invalid_request' };
    await assert.rejects(once(url, make()), failed);
    await assert.rejects(once(new Request(url, make())), failed);
  }
  for (const url of ['/rel', 'http://']) await assert.rejects(once(url), (error) => error.message !== 'fetch failed' && error.message.startsWith('url: '));
  const { url } = await serve(t, { do: 'redirect', status: 302, location: '$url/next' });
  await assert.rejects(once(url, { redirect: 'error' }), { name: 'TypeError', message: 'fetch failed', kind: 'protocol', status: 302 });
  await assert.rejects(once.request(url, { redirect: 'error' }), (error) => error.constructor === ReknockError && error.kind === 'protocol');
});

test('a length that is not that of the body', async () => {
  const error = await once.post('http://h/', { body: 'abc', headers: { 'Content-Length': '0' } }).catch((caught) => caught);
  assert.deepEqual([error.constructor, error.kind, error.cause.code], [TypeError, 'invalid_request', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH']);
  const other = await once.post('http://h/', { body: 'abc', headers: { 'content-length': '3', 'a b': '1' } }).catch((caught) => caught);
  assert.equal(other.cause.code, 'REKNOCK_INVALID_REQUEST');
});

test('what fails for another reason is what it was', async (t) => {
  await assert.rejects(once('http://h/', { policy: { maxRetries: -1 } }), (error) => error.constructor === ReknockError && error.kind === 'config');
  const closed = createClient();
  closed.close();
  await assert.rejects(closed((await serve(t, DONE)).url), (error) => error.constructor === ReknockError && error.kind === 'closed');
});

test('fields of the init that change nothing are passed over, and so is what nobody knows', async (t) => {
  const script = await serve(t, DONE);
  const init = {
    credentials: 'same-origin', mode: 'cors', cache: 'default', integrity: '', keepalive: false, referrer: 'about:client', referrerPolicy: '', priority: 'auto',
    window: null, dispatcher: undefined, signal: undefined, body: undefined, headers: undefined, method: undefined, redirect: undefined, duplex: 'half',
    next: { revalidate: 1 }, cf: {}, verbose: true, retry: 3, errorPolicy: 'all', url: 'x', timeout: undefined, policy: undefined, json: undefined,
  };
  for (const send of [once, lenient]) assert.equal((await send(script.url, init)).status, 200);
  for (const credentials of ['omit', 'include']) assert.equal((await once(script.url, { credentials, keepalive: true })).status, 200);
});

test('asFetch passes over what fetch refuses, with one warning', async (t) => {
  const { url } = await serve(t, DONE);
  const warnings = [];
  const warned = (warning) => warnings.push(warning.message);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  for (const dispatcher of [{}, []]) assert.equal((await lenient(url, { dispatcher })).status, 200);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings, ['reknock: dispatcher: a value of type object would change what is sent, and is not supported: it is passed over']);
  await assert.rejects(once(url, { dispatcher: {} }), /^TypeError: dispatcher: a value of type object would change/);
  await assert.rejects(lenient(url, { mode: 'maybe' }), /^TypeError: mode: must be/);
});

test('a body is the one that was promised, or none', async (t) => {
  const { url } = await serve(t, status(200, 'right'));
  const hash = (name, text = 'right') => `${name}-${createHash(name).update(text).digest('base64')}`;
  const held = [
    hash('sha256'), hash('sha384').toUpperCase().slice(0, 7) + hash('sha384').slice(7), `${hash('sha512')}?option`, hash('sha512').replaceAll('+', '-').replaceAll('/', '_'),
    `${hash('sha256', 'wrong')}\n${hash('sha256')}`, `${hash('sha256', 'wrong')} ${hash('sha512')}`, 'md5-x', ' ',
  ];
  const broken = [hash('sha256', 'wrong'), 'sha256-x', `${hash('sha256')} ${hash('sha512', 'wrong')}`];
  for (const integrity of held) assert.equal(await once(url, { integrity, delivery: 'streamed' }).text(), 'right', integrity);
  for (const integrity of broken) {
    for (const send of [once, lenient]) await assert.rejects(send(url, { integrity }), { name: 'TypeError', message: 'fetch failed', kind: 'protocol' }, integrity);
    await assert.rejects(once(new Request(url, { integrity })), { name: 'TypeError' });
    await assert.rejects(once.request(url, { integrity }), (error) => error.constructor === ReknockError && error.attempts.length === 1);
  }
  await assert.rejects(once.head(url, { integrity: held[0] }), { name: 'TypeError' });
});

test('somebody spoiled Object.prototype', async (t) => {
  const { url } = await serve(t, DONE);
  const spoiled = async (name, property, call) => {
    Object.defineProperty(Object.prototype, name, { ...property, configurable: true });
    try {
      return await call();
    } finally {
      delete Object.prototype[name];
    }
  };
  const calls = ['auto', 'streamed'].map((delivery) => async () => (await once(url, { delivery })).body.cancel());
  for (const call of calls) {
    for (const name of ['start', 'type', 'size']) await spoiled(name, { get: () => assert.fail(name) }, call);
    for (const name of ['start', 'type', 'size', 'highWaterMark', 'more']) await spoiled(name, { value: -1, enumerable: true, writable: true }, call);
  }
});

for (const [name, location] of [['no URL', 'http://['], ['another scheme', 'mailto:a@b'], ['a data: URL', 'data:text/plain,x'], ['a fragment', '#top']]) {
  test(`a redirect to ${name} is an error`, async (t) => {
    const { url } = await serve(t, { do: 'redirect', status: 302, location });
    for (const send of [once, globalThis.fetch]) if (name !== 'a fragment' || send === once) await assert.rejects(send(url), { name: 'TypeError', message: 'fetch failed' });
    assert.equal((await once(url, { redirect: 'manual' })).status, 302);
    assert.equal((await createClient({ policy: false, followRedirects: false })(url)).status, 302);
    assert.equal((await once.request(url)).statusCode, 302);
  });
}

test('a redirect from https to http is followed, without credentials; request() hands it out', async (t) => {
  const plain = await serve(t, DONE);
  const secure = await serve(t, { do: 'redirect', status: 302, location: `${plain.url}/next` }, { tls: 'trusted' });
  const own = createClient({ policy: false, caBundle: secure.ca });
  const headers = { authorization: 'Basic eDp5', cookie: 'a=1', 'x-kept': '1' };
  for (const send of [own, own.get, own.asFetch()]) {
    const response = await send(secure.url, { headers });
    assert.deepEqual([response.status, response.url, response.redirected], [200, `${plain.url}/next`, true]);
  }
  for (const arrival of await plain.log()) {
    const seen = Object.fromEntries(arrival.headers);
    assert.deepEqual([seen.authorization, seen.cookie, seen['x-kept']], [undefined, undefined, '1']);
  }
  assert.equal((await own.request(secure.url)).statusCode, 302);
  own.close();
});

test('a redirect that would have the caller log in is an error; request() follows it', async (t) => {
  for (const userinfo of ['u:p@', 'u@', ':p@']) {
    const next = await serve(t, DONE);
    const { url } = await serve(t, { do: 'redirect', status: 302, location: next.url.replace('//', `//${userinfo}`) });
    for (const send of [once, lenient, globalThis.fetch]) await assert.rejects(send(url), { name: 'TypeError', message: 'fetch failed' });
    assert.equal((await once(url, { redirect: 'manual' })).status, 302);
    assert.deepEqual(await next.log(), []);
    assert.equal((await once.request(url)).statusCode, 200);
    assert.match((await next.log())[0].headers.find(([name]) => name === 'authorization')[1], /^Basic /);
  }
});

test('20 redirects are followed, and no more', async (t) => {
  const hops = Array.from({ length: 20 }, () => ({ do: 'redirect', status: 302, location: '$url/x' }));
  const { url } = await serve(t, ...hops, DONE);
  assert.equal((await once(url)).attempts.length, 21);
  const more = await serve(t, ...hops, hops[0], DONE);
  await assert.rejects(once(more.url), { name: 'TypeError', kind: 'too_many_redirects' });
  assert.equal((await more.log()).length, 21);
});

test('a 303 takes what describes the body along with it', async (t) => {
  const script = await serve(t, { do: 'redirect', status: 303, location: '/next' }, DONE);
  await once.post(script.url, { body: 'x', headers: { 'content-encoding': 'a', 'content-language': 'b', 'content-location': 'c', 'content-type': 'd/e', 'x-kept': 'f' } });
  const [, { method, headers }] = await script.log();
  assert.equal(method, 'GET');
  assert.deepEqual(headers.filter(([name]) => /^(content|x)-/.test(name)), [['x-kept', 'f']]);
  // What was a GET before is the same request.
  const again = await serve(t, { do: 'redirect', status: 303, location: '/next' }, DONE);
  await once(again.url, { headers: { 'content-encoding': 'a', 'content-type': 'd/e' } });
  assert.deepEqual((await again.log())[1].headers.filter(([name]) => /^content-/.test(name)).sort(), [['content-encoding', 'a'], ['content-type', 'd/e']]);
});

test('header fields: trimmed, one of each name', async (t) => {
  const script = await serve(t, DONE);
  await once(script.url, { headers: [['x-a', ' 1\t'], ['X-A', '2'], ['cookie', 'a=1'], ['Cookie', 'b=2'], ['x-b', '\r\n3 4\n']] });
  const [{ headers }] = await script.log();
  const lines = headers.filter(([name]) => /^(x-.|cookie)$/i.test(name)).map(([name, value]) => [name.toLowerCase(), value]);
  assert.deepEqual(lines, [['x-a', '1, 2'], ['cookie', 'a=1; b=2'], ['x-b', '3 4']]);
});

test('data: and blob: URLs are the platform\'s', async () => {
  const response = await client('data:text/plain;charset=utf-8,h%C3%A9');
  assert.deepEqual([await response.text(), response.attempts.length, response.stopReason], ['hé', 0, 'completed']);
  const blob = URL.createObjectURL(new Blob(['abc'], { type: 'a/b' }));
  assert.equal(await client(blob).text(), 'abc');
  assert.equal(await client(new Request('data:,x')).text(), 'x');
  assert.equal(await client(new URL('data:,x')).text(), 'x');
  await assert.rejects(client('about:blank'), TypeError);
  URL.revokeObjectURL(blob);
  await assert.rejects(client(blob), TypeError);
});

test('a stream of what are no bytes is a TypeError', async (t) => {
  const { url } = await serve(t, DONE);
  for (const piece of ['text', 5, new ArrayBuffer(1), null]) {
    const body = () => new ReadableStream({ start: (controller) => (controller.enqueue(piece), controller.close()) });
    await assert.rejects(once.post(url, { body: body(), duplex: 'half' }), TypeError);
    await assert.rejects(once.post(url, { body }), TypeError);
    if (typeof piece === 'string') await assert.rejects(once(new Request(url, { method: 'POST', body: body(), duplex: 'half' })), TypeError);
  }
});

test('a 421 is repeated once', async (t) => {
  const script = await serve(t, status(421), DONE);
  const response = await client.post(script.url, { body: 'x' });
  assert.deepEqual([response.status, response.attempts.map((attempt) => attempt.status)], [200, [421, 200]]);
  assert.equal((await script.log()).length, 2);
  const again = await client((await serve(t, status(421))).url);
  assert.deepEqual([again.status, again.attempts.length, again.stopReason], [421, 2, 'not_retryable']);
  // A connection that is free again is not where it is repeated.
  const kept = await serve(t, DONE, status(421, 'elsewhere'), DONE);
  const own = createClient({ policy: FAST });
  await own(kept.url).text();
  const { attempts } = await own(kept.url);
  assert.deepEqual(attempts.map(({ reused }) => reused), [true, false]);
  own.close();
  // It is no business of those who do not fetch.
  assert.equal((await client.request((await serve(t, status(421))).url)).attempts.length, 1);
});

test('a 421 is repeated whatever the policy', async (t) => {
  for (const fetch of [once, once.asFetch(), (url, init) => client(url, { policy: false, ...init })]) {
    const { url, log } = await serve(t, DONE, status(421), DONE);
    await (await fetch(url)).text();
    const { status: code, attempts } = await fetch(url, { method: 'POST', body: 'x' });
    assert.deepEqual([code, attempts.map(({ status, reused }) => [status, reused])], [200, [[421, true], [200, false]]]);
    assert.deepEqual((await log()).map(({ method }) => method), ['GET', 'POST', 'POST']);
  }
  const again = await once((await serve(t, status(421))).url);
  assert.deepEqual([again.status, again.attempts.length, again.stopReason], [421, 2, 'not_retryable']);
  // After the last retry, too.
  const late = await serve(t, NO, NO, status(421), DONE);
  assert.deepEqual((await client(late.url, { policy: { ...FAST, max_retries: 2 } })).attempts.map(({ status }) => status), [503, 503, 421, 200]);
  // What cannot be sent again is not.
  const stream = new Blob([Buffer.alloc(2_000_000)]).stream();
  const gone = await once((await serve(t, status(421), DONE)).url, { method: 'POST', body: stream, duplex: 'half' });
  assert.deepEqual([gone.status, gone.stopReason], [421, 'body_not_replayable']);
});

/** A server that sends a head and then what it is told. */
async function dripping(t, type = 'text/plain') {
  const { tell, told } = news();
  const { url } = await raw(t, (text, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`);
    tell(socket);
  });
  return { url, told };
}

test('events come one by one', async (t) => {
  const { url, told } = await dripping(t, 'text/event-stream; charset=utf-8');
  const response = await client(url);
  const reader = response.body.getReader();
  const socket = await told;
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    socket.write(chunk(event));
    assert.equal(`${Buffer.from((await reader.read()).value)}`, event);
  }
  socket.end(END);
  assert.equal((await reader.read()).done, true);
  assert.deepEqual([response.stopReason, response.attempts.length], ['completed', 1]);
});

test('a body that takes its time is read as it comes; what breaks then is told to its reader, and in the records', async (t) => {
  const { url, told } = await dripping(t);
  const calls = [client(url)];
  const socket = await told;
  socket.write(chunk('first'));
  const response = await calls[0];
  assert.equal(response.stopReason, 'completed');
  const reader = response.body.getReader();
  assert.equal(`${Buffer.from((await reader.read()).value)}`, 'first');
  // Nothing that came is dropped, whoever reads it when.
  socket.end(chunk('second'));
  assert.equal(`${Buffer.from((await reader.read()).value)}`, 'second');
  const error = await reader.read().catch((caught) => caught);
  await assert.rejects(reader.closed, (told) => told === error);
  assert.deepEqual([error.constructor, error.message, error.cause.kind], [TypeError, 'terminated', 'body']);
  assert.deepEqual([response.attempts[0].error, response.stopReason], ['body', error.stopReason]);
  assert.match(response.explain(), /body/);
});

test('a small body that breaks is retried before anybody sees it', async (t) => {
  const script = await serve(t, { do: 'status', status: 200, body: 'whole', body_mode: 'truncate-fin', after: 2 }, DONE);
  const response = await client(script.url);
  assert.deepEqual([await response.text(), response.attempts.length], ['done', 2]);
});

test('how a response comes is an option of client and call', async (t) => {
  const stall = { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'stall', after: 50 };
  const { url } = await serve(t, stall);
  const limits = { policy: { idleTimeout: '300ms', maxRetries: 0 } };
  const buffered = createClient({ ...limits, delivery: 'buffered' });
  const usual = createClient(limits);
  for (const call of [() => buffered(url), () => usual(url, { delivery: 'buffered' }), () => usual(url, { stream: false }), () => usual.request(url)]) {
    await assert.rejects(call, { kind: 'body' });
  }
  for (const call of [() => usual(url), () => buffered(url, { delivery: 'auto' }), () => buffered(url, { delivery: 'streamed' }), () => buffered(url, { stream: true }), () => usual.request(url, { delivery: 'auto' })]) {
    const { body } = await call();
    await assert.rejects((body.getReader ? new Response(body) : body).text());
  }
  for (const [init, message] of [[{ delivery: 'soon' }, /^delivery: must be 'auto', 'buffered' or 'streamed', got 'soon'$/], [{ stream: 'yes' }, /^stream: must be true or false, got 'yes'$/]]) {
    await assert.rejects(client(url, init), { name: 'TypeError', message });
    assert.throws(() => createClient(init), { name: 'TypeError', message });
  }
});

test('timeout ends with the head; the limit of sizes does not', async (t) => {
  const { url, told } = await dripping(t);
  const small = createClient({ policy: false, maxResponseSize: 10 });
  const response = await small(url, { timeout: 10_000 });
  const text = response.text();
  (await told).write(chunk('more than ten bytes'));
  await assert.rejects(text, { name: 'TypeError', message: 'terminated', kind: 'response_too_large' });
});

test('a body in one await', async (t) => {
  const { url } = await serve(t, status(200, '{"a": 1}', { headers: [['content-type', 'application/json']] }));
  assert.deepEqual(await client.get(url).json(), { a: 1 });
  assert.equal(await client(url).text(), '{"a": 1}');
  assert.equal((await client.post(url, { json: 1 }).arrayBuffer()).byteLength, 8);
  assert.equal((await client.asFetch()(url).blob()).size, 8);
  assert.ok(client(url) instanceof Promise);
  await assert.rejects(once('http://127.0.0.1:1/').json(), { kind: 'connect' });
  await assert.rejects(client.get(url, { signal: AbortSignal.abort('now') }).json(), (reason) => reason === 'now');
});

test('verbs can be taken out of their client', async (t) => {
  const script = await serve(t, DONE);
  const { get, post, request, fetch } = client;
  await Promise.all([get(script.url), post(script.url, { body: 'x' }), request(script.url), fetch(script.url)]);
  assert.deepEqual((await script.log()).map(({ method }) => method).sort(), ['GET', 'GET', 'GET', 'POST']);
});

test('throwHttpErrors may say which', async (t) => {
  const { url } = await serve(t, status(404), status(410));
  const strict = createClient({ policy: false, throwHttpErrors: (code) => code !== 404 });
  assert.equal((await strict(url)).status, 404);
  await assert.rejects(strict(url), { kind: 'http_status', status: 410 });
  assert.equal((await once(url, { throwHttpErrors: () => false })).status, 410);
  await assert.rejects(once.request(url, { throwHttpErrors: () => true }), { kind: 'http_status' });
});

test('search parameters of a client', async (t) => {
  const script = await serve(t, DONE);
  const own = createClient({ policy: false, searchParams: { key: 'k', page: 1 } });
  await own(script.url);
  await own(`${script.url}/?x=y`, { searchParams: { page: [2, 3] } });
  await own.extend({ searchParams: { lang: 'en', key: 'l' } })(script.url);
  assert.deepEqual((await script.log()).map(({ target }) => target), ['/?key=k&page=1', '/?x=y&key=k&page=2&page=3', '/?page=1&lang=en&key=l']);
});

test('hooks around calls, joined by extend', async (t) => {
  const script = await serve(t, status(401), DONE);
  const seen = [];
  let token = 'old';
  const base = createClient({ policy: false, beforeRequest: (request) => request.headers.set('authorization', token) });
  const own = base.extend({
    beforeRequest: [async (request) => void seen.push(request.headers.get('authorization')), (request) => (request.url.endsWith('/cached') ? new Response('kept') : undefined)],
    afterResponse: (response, request) => {
      seen.push(response.status);
      if (response.status !== 401) return new Response(`<${response.status}>`, response);
      request.headers.set('authorization', (token = 'new'));
      return 'retry';
    },
  });
  assert.equal(await own(script.url).text(), '<200>');
  assert.equal(await own(`${script.url}/cached`).text(), 'kept');
  assert.deepEqual(seen, ['old', 401, 200, 'new']);
  assert.deepEqual((await script.log()).map(({ headers }) => headers.find(([name]) => name === 'authorization')[1]), ['old', 'new']);
  // Once.
  const never = await serve(t, status(401));
  assert.equal((await own(never.url, { throwHttpErrors: false })).status, 401);
  assert.equal((await never.log()).length, 2);
  await assert.rejects(own(never.url, { throwHttpErrors: true }), { kind: 'http_status', status: 401 });
  assert.throws(() => createClient({ beforeRequest: ['x'] }), /^TypeError: beforeRequest: must be a function or a list of functions, got string$/);
  await assert.rejects(base.extend({ afterResponse: () => 5 })(script.url), /^TypeError: afterResponse: must return a Response, 'retry' or nothing, got number$/);
});

test('a signal ends what hangs, and a response that was refused leaves nothing behind', async (t) => {
  const { url } = await serve(t, HANG);
  await assert.rejects(client(url, { signal: AbortSignal.timeout(30) }), { name: 'TimeoutError' });
  const no = await serve(t, NO);
  assert.equal((await client(no.url)).stopReason, 'retries_exhausted');
});
