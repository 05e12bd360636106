'use strict';
// Bodies that are produced or read piece by piece.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { createReadStream, mkdtempSync, openAsBlob, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { Readable, Writable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const { createClient } = require('../index.js');
const { bridge } = require('../lib/bridge.js');
const { FAST, news, serve, status, DONE, ECHO, NO } = require('./support/server.js');

const client = createClient({ policy: FAST });
const BIG = Buffer.alloc(2_000_000, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));

function digest(data) {
  return createHash('sha256').update(data).digest('hex');
}

async function* pieces(...list) {
  for (const piece of list) {
    await turn();
    yield piece;
  }
}

async function sent(script) {
  return (await script.log()).map((arrival) => arrival.body_sha256);
}

for (const [name, make] of [
  ['an async iterable', () => pieces('a', Buffer.from('b'), 'c')],
  ['an iterable', () => new Set(['a', 'b', 'c'])],
  ['a ReadableStream', () => Readable.toWeb(Readable.from([Buffer.from('abc')]))],
  ['a Node stream', () => Readable.from(['a', 'bc'])],
  ['a factory', () => () => pieces('ab', 'c')],
  ['a factory of text', () => async () => 'abc'],
  ['a Blob', () => new Blob(['ab', 'c'])],
  ['a Request', () => new Request('http://host/', { method: 'PUT', body: Readable.toWeb(Readable.from([Buffer.from('abc')])), duplex: 'half' }).body],
]) {
  test(`${name} is sent again`, async (t) => {
    const script = await serve(t, NO, { do: 'reset' }, ECHO);
    assert.equal((await (await client.put(script.url, { body: make() })).json()).body, 'abc');
    assert.deepEqual(await sent(script), new Array(3).fill(digest('abc')));
  });
}

test('a stream that is too large to be recorded is sent once', async (t) => {
  for (const make of [() => pieces(BIG), () => Readable.from([BIG]), () => new Blob([BIG]).stream()]) {
    const script = await serve(t, NO);
    const response = await client.put(script.url, { body: make() });
    assert.deepEqual([response.status, response.stopReason], [503, 'body_not_replayable']);
    assert.deepEqual(await sent(script), [digest(BIG)]);
  }
  const script = await serve(t, { do: 'reset' });
  const error = await client.put(script.url, { body: pieces(BIG) }).catch((error) => error);
  assert.deepEqual([error.kind, error.stopReason], ['reset', 'body_not_replayable']);
});

test('a stream goes along with a 307 or a 308 as it was, or fetch fails', async (t) => {
  for (const code of [307, 308]) {
    const hop = { do: 'redirect', status: code, location: '/next' };
    const send = (url, bytes, init) => client(url, { method: 'POST', body: new Blob([bytes]).stream(), duplex: 'half', ...init });
    const kept = await serve(t, hop, ECHO);
    assert.equal((await (await send(kept.url, 'abc')).json()).body, 'abc');
    assert.deepEqual(await sent(kept), new Array(2).fill(digest('abc')));
    const gone = await serve(t, hop, ECHO);
    await assert.rejects(send(gone.url, BIG), { name: 'TypeError', kind: 'protocol', stopReason: 'body_not_replayable' });
    assert.deepEqual(await sent(gone), [digest(BIG)]);
    assert.equal((await send((await serve(t, hop)).url, BIG, { redirect: 'manual' })).status, code);
  }
});

test('a large factory and a large file are sent again', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'big');
  writeFileSync(file, BIG);
  for (const [body, length] of [
    [() => pieces(BIG.subarray(0, 7), BIG.subarray(7)), undefined],
    [() => createReadStream(file), undefined],
    [await openAsBlob(file), `${BIG.length}`],
    [new Blob([BIG]), `${BIG.length}`],
  ]) {
    const script = await serve(t, NO, ECHO);
    const echo = await (await client.put(script.url, { body })).json();
    assert.equal(echo.body_size, BIG.length);
    assert.equal(Object.fromEntries(echo.headers)['content-length'], length);
    assert.deepEqual(await sent(script), [digest(BIG), digest(BIG)]);
  }
});

test('a pass that was cut off is let go when the next one begins', async (t) => {
  const script = await serve(t, status(503, '', { read_body: false, close: true }), ECHO);
  const ended = [];
  let pass = 0;
  const body = () => {
    const own = ++pass;
    return (async function* () {
      try {
        for (let i = 0; i < (own === 1 ? 1e6 : 1); i++) yield Buffer.alloc(10_000, 'x');
      } finally {
        ended.push(own);
      }
    })();
  };
  const response = await client.put(script.url, { body, policy: { methods: 'any' } });
  assert.deepEqual([response.status, response.attempts.length], [200, 2]);
  assert.deepEqual(ended, [1, 2]);
});

test('bytes are taken as they are when the call is made', async (t) => {
  const script = await serve(t, NO, ECHO);
  const body = Buffer.from('before');
  const call = client.put(script.url, { body });
  body.write('after!');
  assert.equal((await (await call).json()).body, 'before');
});

test('an upload follows the server', async (t) => {
  // It takes little of the body: what is produced must not pile up.
  const script = await serve(t, { do: 'stop-reading', after: 1000 });
  let produced = 0;
  const { tell, told } = news();
  const body = (async function* () {
    try {
      for (; produced < 1000; produced++) yield Buffer.alloc(64 * 1024);
    } finally {
      tell();
    }
  })();
  // Until nothing more is asked for: what the sockets hold is a few megabytes.
  await assert.rejects(client.put(script.url, { body, policy: { idleTimeout: '200ms' } }), { kind: 'body' });
  assert.ok(produced > 0 && produced < 500, `${produced} pieces`);
  await told;
});

test('the response may come before the body is sent', async (t) => {
  const script = await serve(t, status(413, 'too much', { read_body: false, close: true }));
  const { tell, told } = news();
  const body = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(64 * 1024)), cancel: () => tell() });
  const response = await client.put(script.url, { body, duplex: 'half' }).catch((error) => error);
  assert.ok(response.status === 413 || ['reset', 'body'].includes(response.kind), response);
  await told;
});

for (const [name, make] of [
  ['an iterator', (error) => (async function* () { yield 'a'; throw error; })()],
  ['a factory', (error) => () => { throw error; }],
  ['a ReadableStream', (error) => new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('a')), pull: (controller) => controller.error(error) })],
  ['a Node stream', (error) => new Readable({ read() { this.destroy(error); } })],
]) {
  test(`what ${name} throws, the call rejects with`, async (t) => {
    const error = new Error('mine');
    const script = await serve(t, DONE);
    await assert.rejects(client.put(script.url, { body: make(error) }), (caught) => caught === error);
    assert.equal(bridge.inFlight, 0);
  });
}

test('a piece that is none', async (t) => {
  const { url } = await serve(t, DONE);
  await assert.rejects(client.put(url, { body: pieces(5) }), /^TypeError: body: a piece must be text or bytes, got number$/);
});

test('a slow producer is cut by the deadline, and let go', async (t) => {
  const { url } = await serve(t, DONE);
  const [streams, readables] = [news(), news()];
  const stream = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('a')), cancel: () => streams.tell() });
  const readable = new Readable({ read() {}, destroy: (_, done) => (readables.tell(), done()) });
  readable.push('a');
  for (const [body, told] of [[stream, streams.told], [readable, readables.told]]) {
    await assert.rejects(client.put(url, { body, timeout: 100 }), { kind: 'deadline' });
    await told;
  }
});

test('a silent producer is cut by idle_timeout', async (t) => {
  const { url } = await serve(t, DONE);
  const body = (async function* () { yield 'a'; await new Promise(() => {}); })();
  const error = await client.put(url, { body, policy: { idleTimeout: '100ms', maxRetries: 0 } }).catch((error) => error);
  assert.equal(error.cause.name, 'ReknockError');
  assert.ok(['body', 'per_try_timeout'].includes(error.kind), error.kind);
});

test('a streamed response', async (t) => {
  const { url } = await serve(t, NO, { do: 'status', status: 200, body_size: 300_000 });
  const response = await client(url, { stream: true });
  assert.ok(response instanceof Response);
  assert.equal(response.attempts.length, 2);
  let size = 0;
  for await (const piece of response.body) {
    assert.ok(piece instanceof Uint8Array);
    assert.ok(piece.every((byte, i) => byte === ((size + i) % 65536) % 251));
    size += piece.length;
  }
  assert.equal(size, 300_000);
});

test('a streamed response, in every way it can be read', async (t) => {
  const { url } = await serve(t, status(200, '{"a": 1}', { chunked: true, drip: { bytes: 2, every: '1ms' } }));
  const stream = () => client(url, { stream: true });
  assert.deepEqual(await (await stream()).json(), { a: 1 });
  assert.equal(await (await stream()).text(), '{"a": 1}');
  assert.equal((await (await stream()).arrayBuffer()).byteLength, 8);
  assert.equal((await (await stream()).blob()).size, 8);
  const [one, two] = (await stream()).body.tee();
  assert.deepEqual(await Promise.all([new Response(one).text(), new Response(two).text()]), ['{"a": 1}', '{"a": 1}']);
  const response = await stream();
  const copy = response.clone();
  assert.deepEqual([await response.text(), await copy.text(), copy.stopReason], ['{"a": 1}', '{"a": 1}', 'completed']);
  const reader = (await stream()).body.getReader({ mode: 'byob' });
  let bytes = Buffer.alloc(0);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(3));
    if (done) break;
    assert.ok(value.length > 0 && value.length <= 3);
    bytes = Buffer.concat([bytes, value]);
  }
  assert.equal(`${bytes}`, '{"a": 1}');
  const lean = await client.request(url, { stream: true });
  assert.deepEqual(await lean.body.json(), { a: 1 });
  const collected = [];
  await pipeline(Readable.fromWeb((await stream()).body), new Writable({ write: (piece, _, next) => (collected.push(piece), next()) }));
  assert.equal(`${Buffer.concat(collected)}`, '{"a": 1}');
});

test('a streamed response over HTTP/2', async (t) => {
  const own = createClient({ http2: 'only' });
  for (const rest of [{ body_size: 300_000 }, { body: 'abc', drip: { bytes: 1, every: '1ms' } }, { body: '' }]) {
    const { url } = await serve(t, { do: 'status', status: 200, ...rest }, { http2: true });
    const bytes = await (await own(url, { stream: true })).arrayBuffer();
    assert.equal(bytes.byteLength, rest.body_size ?? rest.body.length);
  }
});

test('a streamed response resolves with its head', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'stall', after: 50 });
  const response = await client(url, { stream: true });
  const { value } = await response.body.getReader().read();
  assert.ok(value.length > 0);
});

test('a download follows its reader', async (t) => {
  const size = 200_000_000;
  const script = await serve(t, { do: 'status', status: 200, body_size: size, fill: 'zeros' });
  const response = await client(script.url, { stream: true });
  const reader = response.body.getReader();
  await reader.read();
  const before = process.memoryUsage().rss;
  // The server has long since sent what the sockets hold.
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(process.memoryUsage().rss - before < 50_000_000);
  await reader.cancel();
  await script.until(([arrival]) => 'client_gone_ms' in arrival);
});

test('a stream that breaks keeps its status', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'truncate-fin', after: 50 });
  const response = await client(url, { stream: true });
  const error = await response.text().catch((error) => error);
  assert.deepEqual([error.kind, error.status, error.attempts.length], ['body', 200, 1]);
});

test('a stream that is silent', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'stall', after: 50 });
  const response = await client(url, { stream: true, policy: { idleTimeout: '100ms' } });
  await assert.rejects(response.text(), { kind: 'body' });
});

test('a body that is given up closes its connection', async (t) => {
  const drip = { do: 'status', status: 200, body_size: 1_000_000, drip: { bytes: 10, every: '10ms' } };
  // They are held: it is not the garbage collector that closes them.
  const held = [];
  for (const [send, leave] of [
    [client.fetch, (response) => response.body.cancel()],
    [client.fetch, async (response) => { for await (const piece of response.body) return piece; }],
    [client.request.bind(client), (response) => response.body.dump()],
  ]) {
    const script = await serve(t, drip);
    const response = await send(script.url, { stream: true });
    held.push(response);
    await leave(response);
    await script.until(([arrival]) => 'client_gone_ms' in arrival);
  }
  assert.equal(held.length, 3);
  assert.equal(bridge.inFlight, 0);
});

test('closing the client ends its streams', async (t) => {
  const script = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'stall', after: 50 });
  const own = createClient({ policy: FAST });
  const response = await own(script.url, { stream: true });
  const reader = response.body.getReader();
  await reader.read();
  const read = reader.read();
  own.close();
  await assert.rejects(read, { name: 'ReknockError' });
  await script.until(([arrival]) => 'client_gone_ms' in arrival);
});

test('server-sent events arrive as they are sent', async (t) => {
  const { url } = await serve(t, status(200, 'data: 1\n\ndata: 2\n\n', { chunked: true, drip: { bytes: 9, every: '20ms' }, headers: [['content-type', 'text/event-stream']] }));
  const response = await client(url, { stream: true });
  const seen = [];
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) seen.push(piece);
  assert.ok(seen.length > 1);
  assert.equal(seen.join(''), 'data: 1\n\ndata: 2\n\n');
});



test('a body that was given up for a new attempt fails nothing', async (t) => {
  const server = await serve(t, { do: 'hang', read_body: false }, ECHO);
  let giveUp;
  const bodies = [
    async function* () {
      yield 'a';
      await new Promise((_, reject) => (giveUp = reject));
    },
    async function* () {
      giveUp(new Error('too late'));
      await turn();
      yield 'b';
    },
  ];
  const options = { body: () => bodies.shift()(), policy: { ...FAST, perTryTimeout: '200ms' } };
  const response = await client.put(server.url, options);
  assert.equal((await response.json()).body, 'b');
});

const SHORT_OF_MEMORY = `
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const client = require(process.argv[1]).createClient();
const body = Buffer.alloc(300 << 20, 1);
const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]);
execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (pages * 4096 + (150 << 20))]);
client.request('http://127.0.0.1:1/', { method: 'POST', body }).then(() => console.log('sent'), (error) => console.log(error.message));
`;

test('a body that memory has no room for is an error', { skip: process.platform !== 'linux' && 'there is no prlimit' }, () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', SHORT_OF_MEMORY, require.resolve('../index.js')], { encoding: 'utf8' });
  assert.equal(stdout, 'body: 314572800 bytes do not fit into memory\n', stderr);
});
