'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createClient } = require('..');
const { FAST, serve } = require('./support/server.js');

const status = (code) => ({ do: 'status', status: code });

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
    await assert.rejects(client(url, init), { kind: 'invalid_request', message });
  }
  assert.deepEqual(await script.log(), []);
  client.close();
});
