'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { mkdtemp, rm } = require('node:fs/promises');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { createClient } = require('..');
const { DONE, serve } = require('./support/server.js');

/** A server that answers with the host it was asked for and the address it was asked from, and counts its connections. */
async function listening(t, where, delay = 0) {
  const seen = { opened: 0, open: 0, most: 0 };
  const server = http.createServer((request, response) => {
    setTimeout(() => response.end(`${request.headers.host} ${request.socket.remoteAddress}`), delay);
  });
  server.on('connection', (socket) => {
    seen.opened += 1;
    seen.most = Math.max(seen.most, (seen.open += 1));
    socket.on('close', () => (seen.open -= 1));
  });
  server.listen(where);
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  return { seen, url: `http://127.0.0.1:${server.address().port}/` };
}

for (const option of ['maxConnections', 'maxConnectionsPerOrigin']) {
  test(`calls beyond ${option} wait`, async (t) => {
    const { seen, url } = await listening(t, { host: '127.0.0.1', port: 0 }, 20);
    const client = createClient({ [option]: 2, policy: { maxRetries: 0, perTryTimeout: '2s' } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.get(url)));
    assert.deepEqual(answers.map((answer) => answer.status), Array(20).fill(200));
    assert.deepEqual([seen.opened, seen.most], [2, 2]);
    const waited = answers.map((answer) => answer.attempts[0].waitedMs).filter((ms) => ms !== null);
    assert.equal(waited.length, 18);
    assert.ok(waited.every((ms) => ms >= 0), `${waited}`);
    client.close();
  });
}

for (const http2 of [false, true]) {
  test(`connections go with their client, ${http2 ? 'HTTP/2' : 'HTTP/1'}`, async (t) => {
    const script = await serve(t, DONE, { tls: 'trusted', http2 });
    const client = createClient({ caBundle: script.ca });
    assert.equal(await client.get(script.url).text(), 'done');
    await script.until((log, open) => open === 1);
    client.close();
    await script.until((log, open) => open === 0);
  });
}

test('a Unix socket stands for every host', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'reknock-'));
  t.after(() => rm(folder, { recursive: true }));
  const unixSocket = path.join(folder, 'http.sock');
  await listening(t, unixSocket);
  const client = createClient({ unixSocket });
  assert.equal(await client.get('http://docker/version').text(), 'docker undefined');
  client.close();
});

test('the server sees the local address', async (t) => {
  const { url } = await listening(t, { host: '127.0.0.1', port: 0 });
  for (const options of [{ localAddress: '127.0.0.2' }, { localAddress: '127.0.0.2', interface: 'lo' }]) {
    const client = createClient(options);
    assert.match(await client.get(url).text(), / 127\.0\.0\.2$/);
    client.close();
  }
});

test('mistakes are named', () => {
  for (const [options, message] of [
    [{ maxConnections: 0 }, 'maxConnections: must be a whole number from 1 to 100000, got 0'],
    [{ unixSocket: '/run/x.sock', proxy: 'http://p' }, 'proxy: cannot be where unix_socket says what to connect to; leave one of them out'],
    [{ interface: 'a/b' }, 'interface: must be the name of a network interface: 1 to 15 bytes without spaces and slashes, such as eth0, got "a/b"'],
  ]) {
    assert.throws(() => createClient(options), (error) => error.message === message || assert.fail(error.message));
  }
});
