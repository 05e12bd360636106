'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { createClient } = require('..');
const { FAST, serve } = require('./support/server.js');

const SET = { headers: [['set-cookie', 'a=1; Path=/'], ['set-cookie', 'b=2; HttpOnly; Path=/'], ['set-cookie', 'gone=1; Max-Age=0']] };
const status = (code, rest) => ({ do: 'status', status: code, ...rest });
const carried = async (script) => (await script.log()).map((arrival) => Object.fromEntries(arrival.headers).cookie);

test('what servers set comes back, retried responses and redirects included', async (t) => {
  const script = await serve(t, status(503, SET), { do: 'redirect', status: 302, location: '/next', headers: [['set-cookie', 'c=3; Path=/']] }, status(200));
  const client = createClient({ policy: FAST, cookies: true });
  await client(script.url);
  assert.deepEqual(await carried(script), [undefined, 'a=1; b=2', 'a=1; b=2; c=3']);
  const jar = client.cookies;
  assert.deepEqual([jar.get('a'), jar.get('x'), jar.header(script.url), jar.header('http://other.test/')], ['1', undefined, 'a=1; b=2; c=3', null]);
  assert.deepEqual(jar.list().map(({ name, domain }) => [name, domain]), ['a', 'b', 'c'].map((name) => [name, '127.0.0.1']));
  jar.clear();
  assert.deepEqual([jar.list(), client.cookies === jar], [[], true]);
  client.close();
});

test('credentials: omit passes the jar over', async (t) => {
  const script = await serve(t, status(200, SET));
  const client = createClient({ policy: FAST, cookies: { mine: '1' } });
  await client(script.url, { credentials: 'omit' });
  await client(new Request(script.url, { credentials: 'omit' }));
  await client(script.url, { credentials: 'omit', headers: { cookie: 'own=1' } });
  await client(script.url, { credentials: 'same-origin' });
  await client(script.url);
  assert.deepEqual(await carried(script), [undefined, undefined, 'own=1', 'mine=1', 'a=1; b=2; mine=1']);
  client.close();
});

test('none unless they are asked for', async (t) => {
  const script = await serve(t, status(200, SET));
  const client = createClient({ policy: FAST });
  await client(script.url);
  await client(script.url);
  assert.deepEqual([await carried(script), client.cookies], [[undefined, undefined], null]);
  client.close();
});

test('an object to begin with, cookies by hand, and those of a call alone', async (t) => {
  const script = await serve(t, status(200));
  const client = createClient({ policy: FAST, cookies: { a: '1' } });
  client.cookies.set('b', '2');
  assert.equal(client.cookies.store(script.url, 'c=3'), true);
  assert.equal(client.cookies.store('http://a.co.uk/', 'c=3; Domain=co.uk'), false);
  await client(script.url);
  await client(script.url, { headers: { cookie: 'mine=1' } });
  assert.deepEqual(await carried(script), ['c=3; a=1; b=2', 'mine=1']);
  assert.throws(() => client.cookies.set('a', 'sec;ret'), { kind: 'config', message: 'cookies.a: the value must not hold spaces, commas, semicolons or control characters' });
  assert.throws(() => createClient({ cookies: 'a=1' }), { kind: 'config' });
  client.close();
});
