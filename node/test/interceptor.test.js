'use strict';
// The interceptor for undici: what its handlers see over several attempts.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { attemptsOf } = require('../index.js');
const { retryInterceptor } = require('reknock/undici');
const { raw } = require('./support/raw.js');
const { FAST, serve, status, DONE, ECHO, NO } = require('./support/server.js');

const ANY = { ...FAST, methods: 'any' };

for (const name of ['undici6', 'undici7']) {
  const undici = require(name);
  const agent = (options = { policy: ANY }, inner = new undici.Agent({ keepAliveTimeout: 10 })) => inner.compose(retryInterceptor(options));

  const fetches = [['its own', undici.fetch]];
  // From Node 26 on the global one speaks to no dispatcher of undici 6.
  if (name !== 'undici6' || Number.parseInt(process.versions.node) < 26) fetches.push(['the global', globalThis.fetch]);
  for (const [whose, fetch] of fetches) {
    test(`${name}: under ${whose} fetch, whose bodies all come once`, async (t) => {
      const script = await serve(t, NO, status(502, 'x'.repeat(100_000)), ECHO);
      const response = await fetch(script.url, { method: 'POST', body: 'text', dispatcher: agent({ policy: { ...ANY, maxRetries: 3 } }) });
      assert.equal((await response.json()).body, 'text');
      const log = await script.log();
      assert.deepEqual(log.map(({ body_size: size }) => size), [4, 4, 4]);
    });
  }

  test(`${name}: a stream is kept as far as the policy keeps bodies`, async (t) => {
    for (const [most, expected] of [['1KiB', 200], ['2B', 503]]) {
      const script = await serve(t, NO, DONE);
      const pieces = (async function* () { yield Buffer.from('ab'); yield Buffer.from('cd'); })();
      const { statusCode, body } = await undici.request(script.url, { method: 'PUT', body: pieces, dispatcher: agent({ policy: { ...ANY, maxBodyBuffer: most } }) });
      await body.dump();
      assert.equal(statusCode, expected);
      assert.deepEqual((await script.log()).map(({ body_size: size }) => size), expected === 200 ? [4, 4] : [4]);
    }
  });

  test(`${name}: a signal ends it while it waits`, async (t) => {
    const script = await serve(t, NO);
    const control = new AbortController();
    const call = undici.request(script.url, { signal: control.signal, dispatcher: agent({ policy: { backoff: '10m', timeout: 'none' } }) });
    await script.until(([arrival]) => arrival?.did);
    control.abort(new Error('now'));
    await assert.rejects(call, { message: 'now' });
    assert.equal((await script.log()).length, 1);
  });

  test(`${name}: what fails comes out as it is, with its records`, async (t) => {
    const { url } = await serve(t, { do: 'refused' });
    const error = await undici.request(url, { method: 'POST', dispatcher: agent({ policy: FAST }) }).catch((caught) => caught);
    assert.equal(error.code, 'ECONNREFUSED');
    assert.deepEqual(attemptsOf(error).attempts.map(({ evidence }) => evidence), ['not_sent', 'not_sent', 'not_sent']);
  });

  test(`${name}: a body comes whole, however slowly it is read`, async (t) => {
    const { url } = await serve(t, NO, { do: 'status', status: 200, body_size: 3_000_000 });
    const { body } = await undici.request(url, { dispatcher: agent() });
    let size = 0;
    for await (const piece of body) {
      size += piece.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(size, 3_000_000);
  });

  test(`${name}: interim answers pass, and are no answer`, async (t) => {
    const answers = [503, 200].map((code) => `HTTP/1.1 103 Early Hints\r\nlink: <${code}>\r\n\r\nHTTP/1.1 ${code} X\r\ncontent-length: 2\r\n\r\nok`);
    const { url } = await raw(t, (text, socket) => text.endsWith('\r\n\r\n') && socket.write(answers.shift()));
    const infos = [];
    const onInfo = ({ statusCode, headers }) => infos.push([statusCode, headers.link]);
    const { statusCode, body } = await undici.request(url, { dispatcher: agent(), onInfo });
    assert.deepEqual([statusCode, await body.text(), infos, answers.length], [200, 'ok', [[103, '<503>'], [103, '<200>']], 0]);
  });

  test(`${name}: over a MockAgent`, async () => {
    const mock = new undici.MockAgent();
    mock.disableNetConnect();
    const pool = mock.get('http://mock.test');
    pool.intercept({ path: '/', method: 'POST' }).reply(503, 'no').times(1);
    pool.intercept({ path: '/', method: 'POST' }).reply(200, 'yes');
    const { statusCode, body } = await undici.request('http://mock.test/', { method: 'POST', body: 'x', dispatcher: agent({ policy: ANY }, mock) });
    assert.deepEqual([statusCode, await body.text()], [200, 'yes']);
    mock.assertNoPendingInterceptors();
  });
}
