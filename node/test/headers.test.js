'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createClient } = require('..');
const { FAST, serve, status, DONE } = require('./support/server.js');

const once = createClient({ policy: false });

test('header fields go out as fetch has them', async (t) => {
  const script = await serve(t, status(200));
  const client = createClient({ policy: FAST, headers: { 'x-default': 'caf\u00e9', 'x-plain': 'a' } });
  await client(script.url, { headers: { 'X-A': '1', 'x-b': '2', 'x-a': '3', 'x-latin': '\u00fc' } });
  await client(script.url, { headers: { 'x-default': 'own' } });
  const [first, second] = (await script.log()).map((arrival) => arrival.headers.filter(([name]) => name.startsWith('x-')));
  // What is not UTF-8 comes out of the log as U+FFFD: one byte.
  assert.deepEqual(Object.fromEntries(first), { 'x-a': '1, 3', 'x-b': '2', 'x-latin': '\ufffd', 'x-default': 'caf\ufffd', 'x-plain': 'a' });
  assert.equal(first.length, 5);
  assert.deepEqual(Object.fromEntries(second), { 'x-default': 'own', 'x-plain': 'a' });
  for (const headers of [{ 'x-a': '5 \u20ac' }, [['x-a', '\u20ac']]]) {
    await assert.rejects(client(script.url, { headers }), { name: 'TypeError', message: 'headers: the value of \'x-a\' holds characters above U+00FF' });
  }
  assert.throws(() => createClient({ headers: { 'x-a': '\u20ac' } }), { name: 'TypeError' });
  client.close();
});

test('what no request is', async (t) => {
  const script = await serve(t, status(200));
  const client = createClient({ policy: FAST });
  for (const [url, init, message] of [
    [script.url, { headers: { 'Transfer-Encoding': 'identity' } }, /^header "transfer-encoding"/],
    [script.url, { method: 'CONNECT' }, /^method: CONNECT/],
    ['http:///x', {}, /^url: must name a host/],
    [`${script.url}/a\r\nb`, {}, /^url: must not contain line breaks/],
  ]) {
    // What the platform would make a request of fails as its fetch does: what is wrong is the cause.
    await assert.rejects(client(url, init), ({ kind, cause }) => kind === 'invalid_request' && message.test(cause.message), `${message}`);
  }
  assert.deepEqual(await script.log(), []);
  client.close();
});

test('modes of a cache are told to those on the way', async (t) => {
  const script = await serve(t, DONE);
  const seen = async (init) => {
    await once(script.url, init);
    const { headers } = (await script.log()).at(-1);
    return Object.fromEntries(headers.filter(([name]) => /^(pragma|cache-control)$/.test(name)));
  };
  const never = { pragma: 'no-cache', 'cache-control': 'no-cache' };
  for (const [cache, fields] of [['default', {}], ['force-cache', {}], ['no-cache', { 'cache-control': 'max-age=0' }], ['no-store', never], ['reload', never]]) {
    assert.deepEqual(await seen({ cache }), fields, cache);
    assert.deepEqual(await seen({ cache, headers: { 'Cache-Control': 'x', Pragma: 'y' } }), { pragma: 'y', 'cache-control': 'x' });
  }
  await assert.rejects(once(script.url, { cache: 'only-if-cached' }), { name: 'TypeError', message: /^cache: must be/ });
});

test('part of a body is asked for as it is', async (t) => {
  const script = await serve(t, DONE);
  for (const headers of [{ Range: 'bytes=0-1' }, { range: 'bytes=0-1', 'Accept-Encoding': 'gzip' }]) await once(script.url, { headers });
  assert.deepEqual((await script.log()).map(({ headers }) => headers.find(([name]) => name.toLowerCase() === 'accept-encoding')[1]), ['identity', 'gzip']);
});

test('what is taken is said as fetch says it, unless it is said otherwise', async (t) => {
  const script = await serve(t, DONE);
  const plain = createClient({ policy: false, compression: false, headers: { Accept: 'a/b', 'accept-language': null } });
  for (const call of [() => once(script.url), () => once(script.url, { headers: { ACCEPT: 'c/d' } }), () => plain.get(script.url), () => once.request(script.url)]) await call();
  const fields = (await script.log()).map(({ headers }) => headers.filter(([name]) => /^accept(-language|-encoding)?$/i.test(name)).map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort());
  assert.deepEqual(fields, [
    ['accept-encoding: gzip, deflate', 'accept-language: *', 'accept: */*'], ['accept-encoding: gzip, deflate', 'accept-language: *', 'accept: c/d'], ['accept: a/b'], ['accept-encoding: gzip, br, zstd, deflate'],
  ]);
  plain.close();
});
