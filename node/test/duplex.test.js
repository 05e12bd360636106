'use strict';
// Streamed responses whose requests are still being sent.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http2 = require('node:http2');
const { test } = require('node:test');
const { Readable } = require('node:stream');
const { setImmediate: turn } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { createClient } = require('../index.js');
const { bridge, waiting } = require('../lib/bridge.js');
const { FAST } = require('./support/server.js');
const { raw, request, chunk, END, HEAD } = require('./support/raw.js');

const client = createClient({ policy: { ...FAST, idleTimeout: '5s' } });
const ACCEPTED = 'HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n';

async function* pieces(...list) {
  for (const piece of list) {
    await turn();
    yield piece;
  }
}

/** Says its head at once, and the body of the request when that is whole. */
function headFirst(t) {
  return raw(t, (text, socket, state) => {
    const { head, body, whole } = request(text);
    if (head && !state.said) state.said = socket.write(HEAD) || true;
    if (whole) socket.write(chunk(body) + END);
  });
}

/** Says its head at once, and gives back each piece as it comes. */
function echoing(t) {
  return raw(t, (text, socket, state) => {
    const { head, body, whole } = request(text);
    if (head && state.said === undefined) state.said = (socket.write(ACCEPTED), 0);
    if (body.length > state.said) socket.write(chunk(body.slice(state.said)));
    state.said = body.length;
    if (whole) socket.write(END);
  });
}

/** A producer of one piece that then waits for `more`, and tells how it was ended. */
function waits(more = new Promise(() => {})) {
  const told = {};
  let begun = false;
  const iterator = {
    next: async () => {
      if (!begun) return (begun = true), { done: false, value: 'a' };
      return more;
    },
    return: async (reason) => ((told.ended = true), (told.reason = reason), { done: true }),
  };
  return { body: { [Symbol.asyncIterator]: () => iterator }, told };
}

/** Nothing is left: no call, nobody who waits, no connection. */
async function settled(server) {
  await server.empty();
  while (bridge.inFlight > 0 || waiting.size > 0) await turn();
}

for (const [name, make] of [
  ['an async iterable', () => pieces('a', 'b', 'c')],
  ['a factory', () => () => pieces('ab', 'c')],
  ['a ReadableStream', () => Readable.toWeb(Readable.from([Buffer.from('a'), Buffer.from('bc')]))],
  ['a Node stream', () => Readable.from(['a', 'bc'])],
  ['a Blob', () => new Blob(['ab', 'c']).stream()],
]) {
  test(`${name} is sent on after the head of the response`, async (t) => {
    for (const send of [client.fetch, client.request.bind(client)]) {
      const server = await headFirst(t);
      const response = await send(server.url, { method: 'POST', body: make(), stream: true });
      assert.equal(await (response instanceof Response ? response : response.body).text(), 'abc');
    }
    assert.equal(bridge.inFlight, 0);
    assert.equal(waiting.size, 0);
  });
}

test('each piece may depend on the answer to the one before', async (t) => {
  const server = await echoing(t);
  const answers = [];
  let answered;
  const body = (async function* () {
    for (let i = 0; i < 5; i++) {
      const come = new Promise((resolve) => (answered = resolve));
      yield `${i}`;
      await come;
    }
  })();
  const response = await client.post(server.url, { body, stream: true, duplex: 'half' });
  assert.equal(response.status, 202);
  for await (const piece of response.body) {
    answers.push(`${Buffer.from(piece)}`);
    answered();
  }
  assert.deepEqual(answers, ['0', '1', '2', '3', '4']);
  assert.equal(waiting.size, 0);
});

test('what the producer throws after the head, the body of the response ends with', async (t) => {
  const server = await headFirst(t);
  const error = new Error('mine');
  let fail;
  const { body } = waits(new Promise((_, reject) => (fail = reject)));
  const response = await client.post(server.url, { body, stream: true });
  const read = response.text();
  fail(error);
  await assert.rejects(read, (caught) => caught === error);
  await settled(server);
});

test('the upload ends with the body of the response', async (t) => {
  const server = await raw(t, (text, socket, state) => {
    if (request(text).head && !state.said) state.said = socket.write(`HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno`) || true;
  });
  const { body, told } = waits();
  const response = await client.post(server.url, { body, stream: true });
  assert.deepEqual([response.status, told.ended], [413, undefined]);
  assert.equal(await response.text(), 'no');
  assert.equal(told.ended, true);
  assert.equal(bridge.inFlight, 0);
  assert.equal(waiting.size, 0);
});

for (const [name, end] of [
  ['cancelled', (response) => response.body.cancel()],
  ['left', async (response) => { for await (const piece of response.body) return piece; }],
  ['dumped', (response) => response.body.dump()],
  ['aborted', async (response, control) => { control.abort('now'); await assert.rejects(response.text(), (reason) => reason === 'now'); }],
]) {
  test(`the upload ends when the body of the response is ${name}`, async (t) => {
    const server = await echoing(t);
    const { body, told } = waits();
    const control = new AbortController();
    const send = name === 'dumped' ? client.request.bind(client) : client.fetch;
    const response = await send(server.url, { method: 'POST', body, stream: true, signal: control.signal });
    assert.equal(told.ended, undefined);
    await end(response, control);
    assert.equal(told.ended, true);
    if (name === 'aborted') assert.equal(told.reason, 'now');
    await settled(server);
  });
}

for (const [name, method, status] of [['204', 'POST', '204 No Content'], ['304', 'POST', '304 Not Modified'], ['HEAD', 'HEAD', '200 OK']]) {
  test(`the upload ends with a response that has no body: ${name}`, async (t) => {
    const server = await raw(t, (text, socket, state) => {
      if (request(text).head && !state.said) state.said = socket.write(`HTTP/1.1 ${status}\r\n\r\n`) || true;
    });
    const { body, told } = waits();
    // A HEAD with a body is none of fetch's.
    const response = await (method === 'HEAD' ? client.request : client)(server.url, { method, body, stream: true });
    assert.equal(told.ended, true);
    assert.equal(waiting.size, 0);
    assert.equal(await (response.body ?? response).text(), '');
  });
}

for (const [name, send, read] of [
  ['buffered', client.fetch, (response) => response.text()],
  ['buffered and lean', client.request.bind(client), ({ body }) => body.text()],
  ['streamed and read', (url, init) => client(url, { ...init, stream: true }), (response) => response.text()],
  ['streamed and cancelled', (url, init) => client(url, { ...init, stream: true }), (response) => response.body.cancel()],
  ['streamed and aborted', (url, init) => client(url, { ...init, stream: true }), (response, control) => control.abort()],
  ['streamed and dumped', (url, init) => client.request(url, { ...init, stream: true }), ({ body }) => body.dump()],
]) {
  test(`an early answer leaves no connection behind: ${name}`, async (t) => {
    const server = await raw(t, (text, socket, state) => {
      if (request(text).body && !state.said) state.said = socket.write('HTTP/1.1 413 Too Much\r\ncontent-length: 1\r\n\r\nx') || true;
    });
    // They are held: it is not the garbage collector that closes them.
    const held = [];
    for (let i = 0; i < 10; i++) {
      const { body, told } = waits();
      const control = new AbortController();
      const response = await send(server.url, { method: 'POST', body, signal: control.signal });
      held.push(response);
      await read(response, control);
      assert.equal(told.ended, true);
    }
    await settled(server);
    assert.equal(held.length, 10);
  });
}

test('closing the client ends what is sent on, though nobody reads the response', async (t) => {
  const server = await echoing(t);
  const own = createClient({ policy: FAST });
  const { body, told } = waits();
  const other = waits();
  const response = await own.post(server.url, { body, stream: true });
  const kept = await client.post(server.url, { body: other.body, stream: true });
  own.close();
  assert.deepEqual([told.ended, other.told.ended], [true, undefined]);
  assert.deepEqual([bridge.inFlight, waiting.size], [1, 1]);
  await assert.rejects(response.text(), { kind: 'closed' });
  await kept.body.cancel();
  await settled(server);
});

test('a redirect that is an error closes its streamed response, and ends the upload', async (t) => {
  const server = await raw(t, (text, socket, state) => {
    if (request(text).head && !state.said) state.said = socket.write('HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 9\r\n\r\nx') || true;
  });
  const { body, told } = waits();
  await assert.rejects(client.post(server.url, { body, stream: true, redirect: 'error' }), TypeError);
  assert.equal(told.ended, true);
  await settled(server);
});

test('a body made anew for a retry is sent on, though its first piece is asked for as the head comes', async (t) => {
  // The server has a thread of its own, so that it answers while this one is busy.
  const server = new Worker(
    `const { raw, request, chunk, HEAD, END } = require(${JSON.stringify(require.resolve('./support/raw.js'))});
    let connections = 0;
    raw({ after() {} }, (text, socket, state) => {
      state.number ??= ++connections;
      const { head, body, whole } = request(text);
      if (state.number === 1) return whole && socket.end('HTTP/1.1 503 No\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n');
      if (head && !state.said) state.said = socket.write(HEAD) || true;
      if (whole) socket.write(chunk(body) + END);
    }).then(({ url }) => require('node:worker_threads').parentPort.postMessage(url));`,
    { eval: true },
  );
  t.after(() => server.terminate());
  const [url] = await once(server, 'message');
  const beforeRetry = () => {
    setImmediate(() => {
      const end = performance.now() + 100;
      while (performance.now() < end);
    });
  };
  const response = await client.put(url, { body: () => pieces('a', 'b', 'c'), stream: true, beforeRetry });
  assert.equal(await response.text(), 'abc');
});

test('an upload whose connection is lost is over, though nobody reads the response', async (t) => {
  const server = await raw(t, (text, socket, state) => {
    if (request(text).head && !state.said) {
      state.said = true;
      socket.write(HEAD);
    }
    // The second piece may be on its way, or produced for ever.
    if (request(text).body.length > 0) socket.resetAndDestroy();
  });
  const held = [];
  for (const next of [async () => (await turn(), { done: false, value: 'a' }), undefined]) {
    const told = {};
    const body = next ? { [Symbol.asyncIterator]: () => ({ next, return: async () => ((told.ended = true), { done: true }) }) } : undefined;
    const waiter = body ? { body, told } : waits();
    held.push(await client.post(server.url, { body: waiter.body, stream: true }));
    while (!waiter.told.ended) await turn();
    await settled(server);
  }
  for (const response of held) await assert.rejects(response.text(), { kind: 'body' });
});

test('over HTTP/2 a body is sent on too, until that of the response ends or is given up', async (t) => {
  const server = http2.createServer();
  let closed = 0;
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    stream.on('close', () => closed++);
    stream.respond({ ':status': 200 });
    if (headers[':path'] === '/early') return stream.end('x');
    stream.on('data', (piece) => stream.write(piece));
    stream.on('end', () => stream.end('.'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sessions = new Set();
  server.on('session', (session) => sessions.add(session));
  t.after(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  const own = createClient({ http2: 'only', policy: FAST });
  const url = `http://127.0.0.1:${server.address().port}`;
  const send = (path, body) => own.post(`${url}${path}`, { body, stream: true });
  assert.equal(await (await send('/', pieces('a', 'b', 'c'))).text(), 'abc.');
  for (const [path, end] of [['/early', (response) => response.text()], ['/', (response) => response.body.cancel()]]) {
    const { body, told } = waits();
    await end(await send(path, body));
    assert.equal(told.ended, true);
    assert.deepEqual([bridge.inFlight, waiting.size], [0, 0]);
  }
  while (closed < 3) await turn();
});
