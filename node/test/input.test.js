'use strict';
// What fetch takes, as it goes to the core. No network.

const assert = require('node:assert/strict');
const { createReadStream, openAsBlob, writeFileSync, mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Readable } = require('node:stream');
const { test } = require('node:test');
const { inspect } = require('node:util');
const { Policy, createClient } = require('../index.js');
const { toBody } = require('../lib/body.js');
const { fetchCall } = require('../lib/input.js');

const URL_TEXT = 'http://host/path';

/** All pieces of a walk. */
async function drained({ next }) {
  const pieces = [];
  for (let piece; (piece = await next()); ) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString();
}

/** Its content, as often as it can be had. */
async function content(body) {
  if (body.kind === 'bytes') return Buffer.from(body.bytes).toString();
  if (body.kind === 'stream') return drained(body);
  const [one, two] = [await drained(body.make()), await drained(body.make())];
  assert.equal(one, two);
  return one;
}

async function* pieces(...list) {
  yield* list;
}

function givenAway() {
  const bytes = new Uint8Array(3);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

const typed = new Uint16Array([0x4142, 0x4344, 0x4546]);
const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(0x41);

for (const [name, input, kind, text, type] of [
  ['text', 'hé', 'bytes', 'hé', 'text/plain;charset=UTF-8'],
  ['empty text', '', 'bytes', '', 'text/plain;charset=UTF-8'],
  ['a number', 5, 'bytes', '5', 'text/plain;charset=UTF-8'],
  ['a Buffer', Buffer.from('abc'), 'bytes', 'abc'],
  ['a typed array', typed.subarray(1), 'bytes', 'DCFE'],
  ['a DataView', new DataView(typed.buffer, 2, 1), 'bytes', 'D'],
  ['an ArrayBuffer', new Uint8Array([97]).buffer, 'bytes', 'a'],
  ['shared memory', shared, 'bytes', 'AA'],
  ['URLSearchParams', new URLSearchParams({ a: '1 2' }), 'bytes', 'a=1+2', 'application/x-www-form-urlencoded;charset=UTF-8'],
  ['a Blob', new Blob(['ab', 'c'], { type: 'text/x' }), 'factory', 'abc', 'text/x'],
  ['a Blob without a type', new Blob(['abc']), 'factory', 'abc'],
  ['a File', new File(['abc'], 'a.txt', { type: 'text/y' }), 'factory', 'abc', 'text/y'],
  ['a ReadableStream', new Blob(['abc']).stream(), 'stream', 'abc'],
  ['an async iterable', pieces('a', Buffer.from('b'), new Uint8Array([99]).buffer), 'stream', 'abc'],
  ['an iterable', new Set(['a', 'bc']), 'stream', 'abc'],
  ['a Node stream', Readable.from(['a', 'bc']), 'stream', 'abc'],
  ['a function that gives text', () => 'abc', 'factory', 'abc'],
  ['a function that gives an iterable', () => pieces('a', 'bc'), 'factory', 'abc'],
  ['a function that promises a stream', async () => new Blob(['abc']).stream(), 'factory', 'abc'],
  ['a function that gives a Blob', () => new Blob(['abc']), 'factory', 'abc'],
]) {
  test(`body: ${name}`, async () => {
    const call = fetchCall(URL_TEXT, { method: 'POST', body: input });
    assert.equal(call.body.kind, kind);
    assert.equal(await content(call.body), text);
    assert.deepEqual(call.headers, type ? ['content-type', type] : []);
    if (kind === 'factory' && input instanceof Blob) assert.equal(call.body.length, 3);
  });
}

test('fetch gives the same bodies the same content-type', () => {
  for (const body of ['x', 5, true, new URLSearchParams('a=1'), new Blob(['x'], { type: 'a/b' }), new Blob(['x']), Buffer.from('x'), new ArrayBuffer(1)]) {
    const expected = new Request(URL_TEXT, { method: 'POST', body }).headers.get('content-type');
    assert.equal(fetchCall(URL_TEXT, { method: 'POST', body }).headers[1] ?? null, expected);
  }
});

test('a content-type of the caller stays', () => {
  for (const headers of [{ 'Content-Type': 'a/b' }, new Headers({ 'content-type': 'a/b' }), [['CONTENT-TYPE', 'a/b']]]) {
    assert.deepEqual(fetchCall(URL_TEXT, { method: 'POST', body: 'x', headers }).headers.length, 2);
    assert.deepEqual(fetchCall(URL_TEXT, { method: 'POST', json: 1, headers }).headers[1], 'a/b');
  }
});

test('a form is multipart, as the platform reads it', async () => {
  const form = new FormData();
  form.append('plain', 'one\ntwo');
  form.append('na"me\r\n', 'é');
  const alone = toBody(form);
  assert.equal(alone.kind, 'bytes');
  form.append('file', new File(['content'], 'a "b".txt', { type: 'text/z' }));
  form.append('blob', new Blob(['\0\xff']));
  const body = toBody(form);
  assert.equal(body.kind, 'factory');
  const text = await content(body);
  assert.equal(Buffer.byteLength(text), body.length);
  const expected = new Response(form);
  const [ours, theirs] = [
    await new Response(text, { headers: { 'content-type': body.type } }).formData(),
    await expected.formData(),
  ];
  const read = async (data) =>
    Promise.all([...data].map(async ([name, value]) => [name, value.name, value.type, typeof value === 'string' ? value : await value.text()]));
  assert.deepEqual(await read(ours), await read(theirs));
  assert.notEqual(toBody(form).type, body.type);
});

test('a Blob of a file is read from the disk for each pass', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  writeFileSync(path, 'x'.repeat(200_000));
  const body = toBody(await openAsBlob(path));
  assert.equal(body.length, 200_000);
  assert.equal((await content(body)).length, 200_000);
  assert.equal((await content(toBody(() => createReadStream(path)))).length, 200_000);
});

test('shared memory is copied: it must not change while it is sent', () => {
  const memory = new Uint8Array(new SharedArrayBuffer(1)).fill(0x41);
  const { bytes } = toBody(memory);
  memory.fill(0x42);
  assert.equal(`${Buffer.from(bytes)}`, 'A');
});

for (const [name, input, message] of [
  ['an object', {}, /^body: must be text, bytes, .*, got Object$/],
  ['a symbol', Symbol('x'), /symbol/i],
  ['a Date', new Date(), /got Date$/],
  ['bytes that were given away', givenAway(), /detached/],
  ['a buffer that was given away', givenAway().buffer, /detached/],
]) {
  test(`no body: ${name}`, () => assert.throws(() => toBody(input), { name: 'TypeError', message }));
}

test('no bytes are a body', () => {
  for (const none of ['', new Uint8Array(), new ArrayBuffer(0), new DataView(new ArrayBuffer(4), 4)]) assert.equal(toBody(none).bytes.length, 0);
});

for (const [name, made] of [
  ['nothing', undefined],
  ['null', null],
  ['number', 5],
  ['FormData', new FormData()],
  ['URLSearchParams', new URLSearchParams('a=1')],
  ['function', () => 'a'],
]) {
  test(`no body from a function: ${name}`, async () => {
    const message = `body: a function must make text, bytes, a Blob, a ReadableStream or an iterable, got ${made === undefined ? 'undefined' : name}`;
    await assert.rejects(toBody(async () => made).make().next(), { name: 'TypeError', message });
  });
}

for (const [name, make, message] of [
  ['generator', () => pieces('a'), /made the same iterator again/],
  ['ReadableStream', () => new Blob(['a']).stream(), /locked, or something was read/],
  ['Node stream', () => Readable.from(['a']), /locked, or something was read/],
]) {
  test(`a function that makes the same ${name} again is refused: it would be sent empty`, async () => {
    const once = make();
    const body = toBody(() => once);
    assert.equal(await drained(body.make()), 'a');
    await assert.rejects(body.make().next(), { name: 'TypeError', message });
  });
}

test('a function may make the same text, bytes, list or Blob again', async () => {
  for (const same of ['ab', Buffer.from('ab'), ['a', 'b'], new Set(['a', 'b']), new Blob(['ab'])]) assert.equal(await content(toBody(() => same)), 'ab');
});

test('a stream that is locked or was read is no body', async () => {
  const stream = new Blob(['abc']).stream();
  const reader = stream.getReader();
  assert.throws(() => toBody(stream), TypeError);
  await reader.read();
  reader.releaseLock();
  assert.throws(() => toBody(stream), TypeError);
  const readable = Readable.from(['a']);
  readable.resume();
  await new Promise((resolve) => readable.once('end', resolve));
  assert.throws(() => toBody(readable), TypeError);
});

test('what a producer throws comes out as it is', async () => {
  const error = new Error('mine');
  const failing = [
    toBody(new ReadableStream({ pull: (controller) => controller.error(error) })),
    toBody((async function* () { throw error; })()),
    toBody(() => { throw error; }).make(),
    toBody(async () => { throw error; }).make(),
  ];
  for (const { next } of failing) await assert.rejects(next(), (caught) => caught === error);
  await assert.rejects(toBody(pieces({})).next(), /^TypeError: body: a piece must be text or bytes, got Object$/);
  await assert.rejects(toBody(() => 7).make().next(), /^TypeError: body: a function must make .*, got number$/);
});

test('a producer is told that nobody wants more', async () => {
  const told = [];
  const stream = toBody(new ReadableStream({ pull: (c) => c.enqueue(Buffer.from('x')), cancel: () => void told.push('stream') }));
  const generator = toBody((function* () {
    try {
      for (;;) yield 'x';
    } finally {
      told.push('generator');
    }
  })());
  const broken = toBody({ [Symbol.iterator]: () => ({ next: () => ({ value: 'x' }), return: () => { throw new Error('unheard'); } }) });
  for (const { next, cancel } of [stream, generator, broken]) {
    assert.equal(`${Buffer.from(await next())}`, 'x');
    await cancel();
  }
  assert.deepEqual(told, ['stream', 'generator']);
});

test('nothing is produced before it is wanted', () => {
  let asked = 0;
  toBody(() => void asked++);
  toBody({ [Symbol.asyncIterator]: () => ({ next: () => void asked++ }) });
  assert.equal(asked, 0);
});

test('a Request gives its method, URL, headers, body, signal and redirect', async () => {
  const { signal } = new AbortController();
  const request = new Request(URL_TEXT, { method: 'put', headers: { 'x-a': '1' }, body: 'abc', signal, redirect: 'manual' });
  const call = await fetchCall(request);
  assert.equal(call.method, 'PUT');
  assert.equal(call.url, URL_TEXT);
  assert.deepEqual(call.headers, ['content-type', 'text/plain;charset=UTF-8', 'x-a', '1']);
  assert.equal(call.redirect, 'manual');
  assert.equal(call.signal, request.signal);
  assert.equal(request.bodyUsed, true);
  // Made of a text, it has a length and can be sent again.
  assert.equal(call.body.kind, 'bytes');
  assert.equal(await content(call.body), 'abc');
  assert.throws(() => fetchCall(request), TypeError);
});

test('the init goes before the Request', async () => {
  const request = new Request(URL_TEXT, { method: 'PUT', headers: { 'x-a': '1' }, body: 'abc', signal: AbortSignal.timeout(1e9) });
  const call = fetchCall(request, { method: 'POST', headers: { 'x-b': '2' }, body: 'xyz', signal: null, redirect: 'error' });
  assert.equal(call.method, 'POST');
  assert.deepEqual(call.headers, ['x-b', '2', 'content-type', 'text/plain;charset=UTF-8']);
  assert.equal(await content(call.body), 'xyz');
  assert.equal(call.signal, null);
  assert.equal(call.redirect, 'error');
  assert.equal(request.bodyUsed, false);
});

test('the body of a Request that is a stream stays one', async () => {
  const slow = new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setImmediate(resolve));
      controller.enqueue(Buffer.from('abc'));
      if (++this.given === 3) controller.close();
    },
    given: 0,
  });
  let given = 0;
  const quick = new ReadableStream({
    pull(controller) {
      controller.enqueue(Buffer.from('abc'));
      if (++given === 3) controller.close();
    },
  });
  for (const stream of [slow, quick]) {
    const { body } = await fetchCall(new Request(URL_TEXT, { method: 'POST', body: stream, duplex: 'half' }));
    assert.equal(body.kind, 'stream');
    assert.equal(await content(body), 'abcabcabc');
  }
  for (const empty of ['', new Uint8Array()]) {
    const { body } = await fetchCall(new Request(URL_TEXT, { method: 'POST', body: empty }));
    assert.deepEqual([body.kind, body.bytes.length], ['bytes', 0]);
  }
});

test('the body of a Request is not waited for', async () => {
  let controller;
  let reason;
  const stream = new ReadableStream({ start: (own) => void (controller = own), cancel: (own) => void (reason = own) });
  controller.enqueue(Buffer.from('a'));
  const { body } = await fetchCall(new Request(URL_TEXT, { method: 'POST', body: stream, duplex: 'half' }));
  assert.equal(`${Buffer.from(await body.next())}`, 'a');
  const next = body.next();
  controller.enqueue(Buffer.from('b'));
  assert.equal(`${Buffer.from(await next)}`, 'b');
  await body.cancel('enough');
  assert.equal(reason, 'enough');
});

test('a Request whose body fails and is not sent fails nobody', async (t) => {
  const left = [];
  const unhandled = (error) => left.push(error);
  process.on('unhandledRejection', unhandled);
  t.after(() => process.off('unhandledRejection', unhandled));
  let fail;
  const failed = new Promise((_, reject) => (fail = reject));
  const stream = new ReadableStream({ pull: () => failed });
  const { body } = await fetchCall(new Request(URL_TEXT, { method: 'POST', body: stream, duplex: 'half' }));
  fail(new Error('mine'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(left, []);
  await assert.rejects(body.next(), { message: 'mine' });
});

test('URLs and headers in every form', () => {
  assert.equal(fetchCall(new URL(URL_TEXT)).url, URL_TEXT);
  const flat = ['a', '1', 'b', '2'];
  for (const headers of [{ a: 1, b: '2', c: undefined }, new Headers({ a: '1', b: '2' }), Object.entries({ a: '1', b: '2' }), new Map([['a', 1], ['b', 2]])]) {
    assert.deepEqual(fetchCall(URL_TEXT, { headers }).headers, flat);
  }
});

test('searchParams in every form', () => {
  const flat = ['a', '1', 'a', '2', 'b', 'x y'];
  for (const searchParams of ['a=1&a=2&b=x%20y', '?a=1&a=2&b=x+y', new URLSearchParams('a=1&a=2&b=x+y'), { a: [1, 2], b: 'x y', c: undefined, d: null }, [['a', 1], ['a', 2], ['b', 'x y']]]) {
    assert.deepEqual(fetchCall(URL_TEXT, { searchParams }).query, flat);
  }
  assert.deepEqual(fetchCall(URL_TEXT).query, []);
});

test('what is not honoured is refused', () => {
  for (const [init, message] of [
    [5, /^init: must be an object, got number$/],
    [{ dispatcher: {} }, /^dispatcher: a value of type object would change what is sent, and is not supported; leave it out, or pass on client.asFetch\(\), which passes over it$/],
    [{ mode: 'navigate' }, /^mode: must be 'cors', 'no-cors', 'same-origin', got 'navigate'$/],
    [{ credentials: 'maybe' }, /^credentials: must be /],
    [{ cache: 'maybe' }, /^cache: must be /],
    [{ referrer: 'http://[' }, /^referrer: must be a URL, got/],
    [{ referrerPolicy: 'maybe' }, /^referrerPolicy: must be /],
    [{ priority: 'maybe' }, /^priority: must be /],
    [{ duplex: 'full' }, /^duplex: must be 'half', got 'full'$/],
    [{ window: {} }, /^window: must be null, got/],
    [{ method: 'TRACE' }, /^method: TRACE is none that fetch sends$/],
    [{ method: 'track' }, /^method: track is none that fetch sends$/],
    [{ body: 'x' }, /^body: GET has none in fetch; client.request\(\) sends one$/],
    [{ method: 'head', body: '' }, /^body: HEAD has none in fetch/],
    [{ redirect: 'maybe' }, /^redirect: must be follow, manual or error, got 'maybe'$/],
    [{ signal: {} }, /^signal: must be an AbortSignal, got Object$/],
    [{ signal: { aborted: false } }, /^signal: must be an AbortSignal, got Object$/],
    [{ headers: 'x' }, /^headers: must be an object or pairs, got string$/],
    [{ headers: [['x']] }, /^headers: a pair has a name and a value, got Array$/],
    [{ searchParams: 5 }, /^searchParams: must be /],
    [{ json: 1, body: 'x', method: 'POST' }, /^json: body is given too; there can be one$/],
    [{ json: () => {} }, /^json: function is no JSON$/],
    [{ body: {} }, /^body: must be /],
  ]) {
    assert.throws(() => fetchCall(URL_TEXT, init), { name: 'TypeError', message });
  }
  // A Request in place of an init has none of its own names.
  assert.equal(fetchCall(URL_TEXT, new Request(URL_TEXT, { method: 'DELETE' })).method, 'DELETE');
});

const SECRETS = ['-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----\n', 'secret'.repeat(20)];

test('a key where something else is expected is not shown', async () => {
  const { fetch } = createClient({ policy: { max_retries: 0 } });
  for (const secret of SECRETS) {
    const tries = [
      () => fetch('http://127.0.0.1:1/', { redirect: secret }),
      () => fetch('http://127.0.0.1:1/', { delivery: secret }),
      () => fetch('http://127.0.0.1:1/', { mode: secret }),
      () => fetch('http://127.0.0.1:1/', { method: secret }),
      () => fetch('http://127.0.0.1:1/', { headers: { [secret]: 'a' } }),
      () => fetch('http://127.0.0.1:1/', { headers: { [secret]: '\u20ac' } }),
      () => fetch('http://127.0.0.1:1/', { policy: { [secret]: 1 } }),
      () => fetch(secret),
      () => Policy.load(secret),
      () => Policy.preset(secret),
      () => createClient({ cookies: { [secret]: 1 } }),
      () => createClient({ headers: { [secret]: 1 } }),
      () => createClient({ [secret]: 1 }),
    ];
    for (const attempt of tries) {
      const error = await (async () => attempt())().then(() => assert.fail(`${attempt} was taken`), (caught) => caught);
      assert.doesNotMatch(`${error.stack} ${inspect(error)}`, /IIsecret|secretsecret/, `${attempt}`);
    }
  }
});
