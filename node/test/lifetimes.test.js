'use strict';
// Workers, the end of the process, and what is left after many calls.

const assert = require('node:assert/strict');
const { execFile, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { createClient } = require('../index.js');
const { chunk, raw, request, END, HEAD } = require('./support/raw.js');
const { FAST, serve, status, DONE, HANG, NO } = require('./support/server.js');

const PRELUDE = `
  const { createClient, fetch } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
  const FAST = { backoff: '10ms', budget: 'none' };
  const told = (then) => process.stdin.once('data', then);
`;

/** Runs a program, which is `told` once `when` is fulfilled; how it ended, and what it printed. */
function node(program, url, { flags = [], when, timeout = 20_000 } = {}) {
  const env = { ...process.env, URL_: url };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [...flags, '-e', `const url = process.env.URL_;${PRELUDE}${program}`], { env, timeout }, (error, stdout, stderr) => {
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
    when?.then(() => child.stdin.end('go'));
  });
}

function ended({ code, signal, stderr }, expected = 0) {
  assert.deepEqual([code, signal, stderr], [expected, null, '']);
}

test('an idle client keeps no process alive', async (t) => {
  const { url } = await serve(t, DONE);
  ended(await node('createClient();', url));
  const { stdout, ...rest } = await node('createClient()(url).then((response) => response.text()).then(console.log)', url);
  ended(rest);
  assert.equal(stdout, 'done\n');
});

test('a call keeps the process alive, in every state', async (t) => {
  const slow = await serve(t, status(200, 'late', { delay: '300ms' }));
  const busy = await serve(t, NO, status(200, 'late'));
  const drip = await serve(t, status(200, 'late', { drip: { bytes: 1, every: '50ms' } }));
  for (const [program, { url }] of [
    ['fetch(url).then((response) => response.text()).then(console.log)', slow],
    ['createClient({ policy: { backoff: "300ms" } })(url).then((response) => response.text()).then(console.log)', busy],
    ['fetch(url, { stream: true }).then((response) => response.text()).then(console.log)', drip],
  ]) {
    const { stdout, ...rest } = await node(program, url);
    ended(rest);
    assert.equal(stdout, 'late\n');
  }
});

test('a streamed body that nobody reads keeps no process alive', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100), body_mode: 'stall', after: 0 });
  const { stdout, ...rest } = await node('fetch(url, { stream: true }).then(({ status }) => console.log(status))', url);
  ended(rest);
  assert.equal(stdout, '200\n');
});

test('an upload that goes on after the head of the response keeps the process alive', async (t) => {
  const { url } = await raw(t, (text, socket, state) => {
    const { head, body, whole } = request(text);
    if (head && !state.said) state.said = socket.write(HEAD) || true;
    if (whole) socket.write(chunk(body) + END);
  });
  // Nothing else of the program does: a timer that is unreferenced, and a body that nobody reads yet.
  const program = `
    let sent;
    const over = new Promise((resolve) => (sent = resolve));
    const body = async function* () {
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10).unref());
        yield 'x';
      }
      sent();
    };
    fetch(url, { method: 'POST', body, stream: true }).then(async (response) => { await over; console.log(await response.text()); });
  `;
  const { stdout, ...rest } = await node(program, url);
  ended(rest);
  assert.equal(stdout, 'xxxxx\n');
});

for (const [name, program, requests] of [
  ['process.exit', 'for (let i = 0; i < 50; i++) fetch(url); told(() => process.exit(3))', 50],
  ['process.exit at once', 'for (let i = 0; i < 50; i++) fetch(url); process.exit(3)', 0],
  ['process.exit in a callback', 'for (let i = 0; i < 50; i++) fetch(url.replace("hang", ""), { retryIf: () => process.exit(3) })', 0],
  ['process.exit while bodies go both ways', 'for (let i = 0; i < 20; i++) fetch(url, { method: "PUT", body: async function* () { for (;;) yield Buffer.alloc(1e5) } }); told(() => process.exit(3))', 20],
  ['a call in an exit handler', 'process.on("exit", () => void fetch(url)); fetch(url); told(() => process.exit(3))', 1],
  ['reallyExit', 'fetch(url); told(() => process.reallyExit(3))', 1],
]) {
  test(`exit with calls in flight: ${name}`, async (t) => {
    const { url, until } = await serve(t, name.includes('callback') ? NO : HANG);
    const when = requests ? until((log) => log.length === 3 * requests) : undefined;
    for (const result of await Promise.all([1, 2, 3].map(() => node(program, url, { when })))) ended(result, 3);
  });
}

test('an uncaught exception with calls in flight is an ordinary one', async (t) => {
  const { url, until } = await serve(t, HANG);
  const when = until((log) => log.length === 50);
  const { code, stderr } = await node('for (let i = 0; i < 50; i++) fetch(url); told(() => { throw new Error("mine") })', url, { when });
  assert.equal(code, 1);
  assert.match(stderr, /Error: mine/);
  assert.doesNotMatch(stderr, /panicked/);
});

test('an observer that throws is an uncaught exception, and fails no call', async (t) => {
  const { url } = await serve(t, DONE);
  const { code, stderr } = await node('fetch(url, { onEvent: () => { throw new Error("mine") } })', url);
  assert.equal(code, 1);
  assert.match(stderr, /Error: mine/);
  const handled = 'process.on("uncaughtException", ({ message }) => console.log(message)); fetch(url, { onEvent: () => { throw new Error("mine") } }).then(({ status }) => console.log(status))';
  const { stdout } = await node(handled, url);
  assert.deepEqual(stdout.split('\n').filter(Boolean).sort(), ['200', 'mine', 'mine', 'mine'], 'the start of the attempt, its end, and the call\'s');
});

test('a rejection that nobody handles is reported once, as ever', async (t) => {
  const { url } = await serve(t, { do: 'reset' });
  const { code, stderr } = await node('fetch(url, { policy: { backoff: "1ms" } })', url);
  assert.equal(code, 1);
  assert.equal(stderr.match(/^TypeError: fetch failed$/gm).length, 1);
  assert.match(stderr, /\[cause\]: ReknockError: /);
  assert.match(stderr, /kind: 'reset'/);
});

test('no rejection is left behind by calls that are aborted, cut or refused', async (t) => {
  const { url } = await serve(t, NO);
  const program = `
    const left = [];
    process.on('unhandledRejection', (reason) => left.push(reason));
    process.on('uncaughtException', (error) => left.push(error));
    const client = createClient({ policy: FAST });
    const later = () => new Promise((_, reject) => setImmediate(reject, new Error('later')));
    const body = () => (async function* () { yield 'a'; await later(); })();
    const calls = [
      () => client(url, { signal: AbortSignal.abort() }), () => client(url, { signal: AbortSignal.timeout(1) }),
      () => client(url, { timeout: 5, retryIf: later }), () => client(url, { retryIf: later }), () => client(url, { timeout: 1, beforeRetry: later }),
      () => client.put(url, { body: body() }), () => client.put(url, { body: body(), signal: AbortSignal.timeout(1) }), () => client.put(url, { body: body, timeout: 1 }),
      () => client(url, { cache: 1 }), () => client(new Request(url, { method: 'PUT', body: ReadableStream.from(body()), duplex: 'half' })),
      () => client(url, { stream: true, signal: AbortSignal.timeout(3) }).then((response) => response.text()),
    ];
    (async () => {
      for (let round = 0; round < 20; round++) await Promise.allSettled(calls.map((call) => call()));
      await new Promise((resolve) => setTimeout(resolve, 20));
      console.log(left.length, left[0]);
    })();
  `;
  const { stdout, ...rest } = await node(program, url);
  ended(rest);
  assert.equal(stdout, '0 undefined\n');
});

/** A worker that runs a program; `url` and the prelude are there. */
function worker(program, url) {
  const own = new Worker(`const url = require('node:worker_threads').workerData; ${PRELUDE}${program}`, { eval: true, workerData: url });
  own.errors = [];
  own.on('error', (error) => own.errors.push(error));
  return own;
}

test('workers have clients of their own, and end by themselves', async (t) => {
  const { url } = await serve(t, NO, DONE);
  const program = 'const { parentPort } = require("node:worker_threads"); createClient({ policy: FAST })(url).then((r) => r.text()).then((text) => parentPort.postMessage(text))';
  await Promise.all(
    Array.from({ length: 4 }, () => {
      const own = worker(program, url);
      const exit = new Promise((resolve) => own.once('exit', resolve));
      return new Promise((resolve) => own.once('message', resolve)).then(async (text) => {
        assert.ok(['done', ''].includes(text));
        assert.equal(await exit, 0);
        assert.deepEqual(own.errors, []);
      });
    }),
  );
});

test('what a worker sends on outlives it', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body_size: 3_000_000 });
  const program = `
    const { parentPort } = require('node:worker_threads');
    (async () => {
      const pieces = [];
      for await (const { buffer } of (await fetch(url, { stream: true })).body) pieces.push(buffer);
      const whole = await (await fetch(url)).arrayBuffer();
      const lean = await (await createClient().request(url)).body.arrayBuffer();
      parentPort.postMessage([...pieces, whole, lean], [...pieces, whole, lean]);
    })();
  `;
  for (let round = 0; round < 5; round++) {
    const own = worker(program, url);
    const exit = once(own, 'exit');
    const [buffers] = await once(own, 'message');
    await exit;
    // Other memory, where theirs would have been.
    const others = buffers.map(({ byteLength }) => Buffer.alloc(byteLength, 0xee));
    const all = Buffer.concat(buffers.map((buffer) => Buffer.from(buffer)));
    assert.equal(all.length, 9_000_000);
    assert.ok(all.every((byte, i) => byte === ((i % 3_000_000) % 65536) % 251), `${others.length}`);
  }
});

test('200 workers, terminated in the middle of their calls', { timeout: 120_000 }, async (t) => {
  const hang = await serve(t, HANG);
  const fast = await serve(t, DONE);
  const busy = await serve(t, NO);
  const drip = await serve(t, { do: 'status', status: 200, body_size: 1_000_000, drip: { bytes: 10, every: '5ms' } });
  const kinds = [
    [hang, 'for (let i = 0; i < 10; i++) fetch(url);'],
    [fast, 'const client = createClient(); (async () => { for (;;) await Promise.all([client(url), client.request(url)]); })();'],
    [busy, 'for (let i = 0; i < 5; i++) createClient({ policy: FAST })(url, { retryIf: () => new Promise(() => {}) });'],
    [drip, 'for (let i = 0; i < 5; i++) fetch(url, { stream: true }).then((response) => response.text());'],
    [hang, 'for (let i = 0; i < 5; i++) fetch(url, { method: "PUT", body: async function* () { for (;;) yield Buffer.alloc(1e4); } });'],
  ];
  const early = await serve(t, { do: 'status', status: 200, body_size: 1_000_000, drip: { bytes: 10, every: '5ms' }, read_body: false });
  kinds.push([early, 'for (let i = 0; i < 5; i++) fetch(url, { method: "PUT", stream: true, body: async function* () { for (;;) yield Buffer.alloc(1e4); } }).then((response) => i % 2 && response.text());']);
  let seed = 3;
  const one = async (i) => {
    const [script, program] = kinds[i % kinds.length];
    const own = worker(program, script.url);
    await new Promise((resolve) => own.once('online', resolve));
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    await new Promise((resolve) => setTimeout(resolve, (seed >> 8) % 60));
    await own.terminate();
    assert.deepEqual(own.errors, []);
  };
  for (let i = 0; i < 200; i += 4) await Promise.all([i, i + 1, i + 2, i + 3].map(one));
  // Their calls went with them; the main thread is none the worse.
  for (const script of [hang, drip, early]) await script.until((_, open) => open === 0);
  assert.equal((await createClient()(fast.url)).status, 200);
});

test('a streamed body that nobody has any more is closed, also by a signal that lives on', async (t) => {
  const script = await serve(t, { do: 'status', status: 200, body_size: 1_000_000, drip: { bytes: 10, every: '10ms' } });
  const program = `
    const { signal } = new AbortController();
    const client = createClient({ policy: FAST });
    const begun = async (read, init) => { for (let i = 0; i < 3; i++) await read(await client(url, { stream: true, ...init })); };
    (async () => {
      await begun(() => {});
      await begun(({ body }) => void body);
      await begun(({ body }) => body.getReader().read());
      await begun(() => {}, { signal });
      await begun(({ body }) => body.getReader().read(), { signal });
      const listeners = () => require('node:events').getEventListeners(signal, 'abort').length;
      for (let left = 500; listeners() > 0 && left > 0; left--) { gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }
      console.log(listeners());
      setTimeout(() => {}, 1e9);
    })();
  `;
  const child = spawn(process.execPath, ['--expose-gc', '-e', `const url = process.env.URL_;${PRELUDE}${program}`], { env: { ...process.env, URL_: script.url }, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const [line] = await once(child.stdout, 'data');
  assert.equal(`${line}`, '0\n');
  assert.equal((await script.log()).length, 15);
  await script.until((_, open) => open === 0);
});

test('a response that nobody has any more ends the upload of its request', async (t) => {
  const server = await raw(t, (text, socket, state) => {
    if (request(text).head && !state.said) state.said = socket.write(HEAD) || true;
  });
  const program = `
    let ended = 0;
    const body = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: async () => (ended++, { done: true }) }) });
    (async () => {
      for (let i = 0; i < 3; i++) await fetch(url, { method: 'POST', body: body(), stream: true });
      for (let left = 500; ended < 3 && left > 0; left--) { gc(); await new Promise((resolve) => setTimeout(resolve, 10)); }
      console.log(ended);
    })();
  `;
  const { stdout, ...rest } = await node(program, server.url, { flags: ['--expose-gc'] });
  ended(rest);
  assert.equal(stdout, '3\n');
});

test('10,000 calls leave nothing behind', { timeout: 120_000 }, async (t) => {
  const { url } = await serve(t, DONE);
  const broken = await serve(t, { do: 'reset' });
  const program = `
    const { readdirSync } = require('node:fs');
    const client = createClient({ policy: FAST });
    const broken = ${JSON.stringify(broken.url)};
    const signal = new AbortController().signal;
    const one = async (i) => {
      switch (i % 8) {
        case 0: return (await client(url)).text();
        case 1: return (await client.request(url, { signal })).body.text();
        case 2: return (await client(url, { stream: true })).text();
        case 3: return (await client.put(url, { body: async function* () { yield 'abc'; } })).headers.get('date');
        case 4: return (await client(url, { retryIf: async () => undefined, onEvent: () => {} })).attempts.length;
        case 5: return client(url, { signal: AbortSignal.timeout(1) }).catch(() => {});
        case 6: return (await client(url, { stream: true })).body.cancel();
        case 7: return i % 64 === 7 ? client(broken, { policy: false }).catch((error) => error.attempts) : client(url);
      }
    };
    const many = async (calls) => {
      for (let i = 0; i < calls; i += 20) await Promise.all(Array.from({ length: 20 }, (_, k) => one(i + k)));
      for (let i = 0; i < 3; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      const { rss, heapUsed, external } = process.memoryUsage();
      return { rss, heapUsed, external, fds: readdirSync('/proc/self/fd').length };
    };
    (async () => {
      const rounds = [];
      for (let round = 0; round < 6; round++) rounds.push(await many(2500));
      console.log(JSON.stringify(rounds));
    })();
  `;
  const { stdout, ...rest } = await node(program, url, { flags: ['--expose-gc'], timeout: 110_000 });
  ended(rest);
  const rounds = JSON.parse(stdout);
  // What leaks grows in every round; what allocators keep does not. A kilobyte per call would be 2.5 MB.
  for (const [key, most] of [['rss', 2.5e6], ['heapUsed', 5e5], ['external', 5e5], ['fds', 1]]) {
    const least = Math.min(...rounds.slice(1).map((round, i) => round[key] - rounds[i][key]));
    assert.ok(least < most, `${key} grows by ${least} each round: ${stdout}`);
  }
});
