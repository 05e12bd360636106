'use strict';
// The response of `fetch`, compared with what the platform's own does. No network.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { inspect } = require('node:util');
const { makeResponse, leanResponse } = require('../lib/response.js');

const TEXT = 'héllo, wörld';

const ATTEMPTS = Object.freeze([{ number: 1, status: 200 }]);

/** What the binding hands over for a finished call. */
function parts(given = {}) {
  return {
    status: 200,
    body: Buffer.from(TEXT),
    stream: null,
    list: ['content-type', 'text/plain; charset=utf-8', 'set-cookie', 'a=1', 'set-cookie', 'b=2'],
    statusText: () => 'OK',
    headers() {
      return this.list;
    },
    attempts: () => ATTEMPTS,
    url: () => 'http://host/path',
    redirected: () => false,
    strayed: () => false,
    httpVersion: () => '1.1',
    stopReason: () => 'completed',
    elapsedMs: () => 1.5,
    explain: () => '#1 200\n',
    ...given,
  };
}

/** The same response both ways: whole, and as a stream of two pieces. */
function both(given = {}) {
  const bytes = given.body ?? Buffer.from(TEXT);
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes.subarray(0, 3)));
      controller.enqueue(new Uint8Array(bytes.subarray(3)));
      controller.close();
    },
  });
  return [makeResponse(parts(given)), makeResponse(parts({ ...given, body: null, stream }))];
}

/** The platform's own response, for comparison. */
function plain(body = TEXT) {
  return new Response(body, { headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

async function rejection(promise) {
  return promise.then(
    () => assert.fail('it was fulfilled'),
    (error) => [error.constructor, error.message],
  );
}

test('is a Response', () => {
  for (const response of both()) {
    assert.ok(response instanceof Response);
    assert.equal(Object.prototype.toString.call(response), '[object Response]');
    assert.equal(response.status, 200);
    assert.equal(response.statusText, 'OK');
    assert.equal(response.ok, true);
    assert.equal(response.url, 'http://host/path');
    assert.equal(response.redirected, false);
    assert.equal(response.type, 'basic');
    assert.equal(response.bodyUsed, false);
    assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
    assert.equal(response.headers, response.headers);
  }
});

test('says what was tried', () => {
  for (const response of both()) {
    assert.deepEqual(response.attempts, [{ number: 1, status: 200 }]);
    assert.equal(response.attempts, response.attempts);
    assert.throws(() => response.attempts.push(1), TypeError);
    assert.equal(response.stopReason, 'completed');
    assert.equal(response.elapsedMs, 1.5);
    assert.equal(response.httpVersion, '1.1');
    assert.equal(response.explain(), '#1 200\n');
  }
});

test('asks the binding for headers and attempts only when they are wanted, and once', async () => {
  const asked = [];
  const given = parts({ headers: () => (asked.push('headers'), []), attempts: () => (asked.push('attempts'), []) });
  const response = makeResponse(given);
  await response.text();
  assert.deepEqual(asked, []);
  void [response.headers, response.headers];
  assert.deepEqual(asked, ['headers']);
  void response.attempts;
  assert.deepEqual(asked, ['headers', 'attempts']);
});

test('any status is a status', () => {
  for (const status of [100, 199, 404, 599, 600, 999]) {
    const response = makeResponse(parts({ status }));
    assert.equal(response.status, status);
    assert.equal(response.ok, false);
  }
});

const READERS = {
  text: (value) => assert.equal(value, TEXT),
  arrayBuffer: (value) => {
    assert.ok(value instanceof ArrayBuffer);
    assert.equal(Buffer.from(value).toString(), TEXT);
  },
  bytes: (value) => {
    assert.equal(value.constructor, Uint8Array);
    assert.equal(Buffer.from(value).toString(), TEXT);
  },
  blob: async (value) => {
    assert.ok(value instanceof Blob);
    assert.equal(value.type, (await plain().blob()).type);
    assert.equal(await value.text(), TEXT);
  },
};

for (const [reader, check] of Object.entries(READERS)) {
  test(`${reader}() reads the body once`, async () => {
    for (const response of both()) {
      const promise = response[reader]();
      assert.equal(response.bodyUsed, true);
      await check(await promise);
      const used = plain();
      await used.text();
      for (const again of ['text', 'json', 'arrayBuffer', 'blob', 'formData']) {
        assert.deepEqual(await rejection(response[again]()), await rejection(used[again]()), again);
      }
      assert.throws(() => response.clone(), TypeError);
      assert.equal(response.body.locked, used.body.locked);
    }
  });
}

test('json()', async () => {
  for (const response of both({ body: Buffer.from('\ufeff{"a": [1]}') })) assert.deepEqual(await response.json(), { a: [1] });
  for (const response of both()) assert.deepEqual(await rejection(response.json()), await rejection(plain().json()));
});

test('formData()', async () => {
  const list = ['content-type', 'application/x-www-form-urlencoded'];
  for (const response of both({ body: Buffer.from('a=1&b=x%20y'), list })) {
    assert.deepEqual([...(await response.formData())], [['a', '1'], ['b', 'x y']]);
  }
  for (const response of both()) assert.equal((await rejection(response.formData()))[0], TypeError);
});

test('text is decoded as the platform decodes it', async () => {
  const samples = [[], [0xef, 0xbb, 0xbf], [0xef, 0xbb, 0xbf, 0x61], [0xef, 0xbb], [0x61, 0xef, 0xbb, 0xbf], [0xff, 0xfe, 0x61, 0], [0xc3], [0xe2, 0x82]];
  let seed = 1;
  for (let i = 0; i < 3000; i++) {
    // Bytes in which sequences begin, go on and break off.
    samples.push(Array.from({ length: 1 + (i % 9) }, () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return [0x61, 0x80, 0xbf, 0xc0, 0xc3, 0xe0, 0xed, 0xa0, 0xef, 0xbb, 0xf0, 0x90, 0xf4, 0xf5, 0xff, 0][(seed >> 8) % 16];
    }));
  }
  for (const sample of samples) {
    const body = Buffer.from(sample);
    assert.equal(await makeResponse(parts({ body })).text(), new TextDecoder().decode(body), body.toString('hex'));
  }
});

test('the memory of a body is not shared', async () => {
  const pooled = Buffer.from('in a pool');
  assert.ok(pooled.buffer.byteLength > pooled.byteLength);
  assert.equal((await makeResponse(parts({ body: pooled })).arrayBuffer()).byteLength, pooled.byteLength);
  const own = Buffer.from(new Uint8Array([1, 2, 3]).buffer);
  const response = makeResponse(parts({ body: own }));
  const copy = response.clone();
  new Uint8Array(await response.arrayBuffer()).fill(9);
  assert.deepEqual([...(await copy.bytes())], [1, 2, 3]);
});

test('clone() before, between and after', async () => {
  for (const response of both()) {
    const first = response.clone();
    const second = first.clone();
    assert.equal(await response.text(), TEXT);
    assert.equal(first.bodyUsed, false);
    assert.ok(first.body instanceof ReadableStream);
    const third = first.clone();
    for (const copy of [first, second, third]) {
      assert.equal(await copy.text(), TEXT);
      assert.equal(copy.stopReason, 'completed');
      assert.equal(copy.url, 'http://host/path');
      assert.equal(copy.headers.get('content-type'), 'text/plain; charset=utf-8');
    }
  }
});

test('the headers are nobody\'s to change, as in fetch; a clone has its own', () => {
  const response = makeResponse(parts());
  for (const [name, ...args] of [['set', 'x-a', '1'], ['append', 'x-a', '1'], ['delete', 'x-a']]) {
    assert.throws(() => response.headers[name](...args), { name: 'TypeError', message: /^headers: those of a response cannot be changed/ });
  }
  const copy = response.clone();
  assert.notEqual(copy.headers, response.headers);
  assert.deepEqual([...copy.headers], [...response.headers]);
  const mine = new Headers(response.headers);
  mine.set('x-a', '1');
  assert.equal(new Response('', { headers: response.headers }).headers.get('x-a'), response.headers.get('x-a'));
});

test('body is a stream', async () => {
  for (const response of both()) {
    assert.ok(response.body instanceof ReadableStream);
    assert.equal(response.body, response.body);
    assert.equal(response.bodyUsed, false);
    const pieces = [];
    for await (const piece of response.body) pieces.push(piece);
    assert.equal(Buffer.concat(pieces).toString(), TEXT);
    assert.equal(response.bodyUsed, true);
    await assert.rejects(response.text(), TypeError);
  }
});

test('body can be read into a buffer of the reader', async (t) => {
  try {
    plain().body.getReader({ mode: 'byob' });
  } catch {
    return t.skip('no response of this version of Node can');
  }
  const reader = makeResponse(parts()).body.getReader({ mode: 'byob' });
  const { value } = await reader.read(new Uint8Array(4));
  assert.equal(value.byteLength, 4);
  await reader.cancel();
});

test('a body with a reader is locked', async () => {
  for (const response of both()) {
    const ordinary = plain();
    const readers = [response, ordinary].map(({ body }) => body.getReader());
    assert.deepEqual(await rejection(response.text()), await rejection(ordinary.text()));
    assert.throws(() => response.clone(), TypeError);
    assert.equal(response.bodyUsed, ordinary.bodyUsed);
    for (const reader of readers) reader.releaseLock();
    assert.equal(await response.text(), TEXT);
  }
});

test('tee', async () => {
  for (const response of both()) {
    const [one, two] = response.body.tee();
    assert.equal(await new Response(one).text(), TEXT);
    assert.equal(await new Response(two).text(), TEXT);
  }
});

test('can be wrapped in another response, and be the body of a request', async () => {
  for (const response of both({ status: 201 })) {
    const wrapped = new Response(response.body, response);
    assert.equal(wrapped.status, 201);
    assert.equal(wrapped.statusText, 'OK');
    assert.equal(wrapped.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.equal(await wrapped.text(), TEXT);
    assert.equal(response.bodyUsed, true);
  }
  for (const response of both()) {
    const request = new Request('http://host/', { method: 'POST', body: response.body, duplex: 'half' });
    assert.equal(await request.text(), TEXT);
  }
});

test('statuses without a body have none', async () => {
  for (const status of [204, 205, 304]) {
    const response = makeResponse(parts({ status, body: Buffer.alloc(0) }));
    assert.equal(response.body, null);
    for (let again = 0; again < 2; again++) assert.equal(await response.text(), '');
    assert.equal(response.bodyUsed, false);
    assert.equal(response.clone().body, null);
    const wrapped = new Response(response.body, response);
    assert.equal(wrapped.status, status);
  }
});

test('no body (HEAD) is not an empty one', async () => {
  const none = makeResponse(parts({ body: null }));
  assert.equal(none.body, null);
  assert.equal((await none.arrayBuffer()).byteLength, 0);
  const empty = makeResponse(parts({ body: Buffer.alloc(0) }));
  assert.equal(await empty.text(), '');
  assert.equal(empty.bodyUsed, true);
  await assert.rejects(empty.text(), TypeError);
});

test('a stream that fails fails the reader with its own error', async () => {
  const error = new Error('cut');
  const failing = () => new ReadableStream({ pull: (controller) => controller.error(error) });
  await assert.rejects(makeResponse(parts({ body: null, stream: failing() })).text(), (caught) => caught === error);
  await assert.rejects(leanResponse(parts({ body: null, stream: failing() })).body.json(), (caught) => caught === error);
});

test('inspecting reads nothing', async () => {
  for (const response of both()) {
    const text = inspect(response);
    assert.match(text, /^Response \{/);
    assert.match(text, /status: 200/);
    assert.match(text, /stopReason: 'completed'/);
    assert.equal(response.bodyUsed, false);
    assert.equal(await response.text(), TEXT);
  }
  assert.match(inspect(leanResponse(parts())), /^LeanResponse \{\s+statusCode: 200/);
});

test('methods on something else reject', async () => {
  const { text } = Object.getPrototypeOf(makeResponse(parts()));
  await assert.rejects(text.call({}), TypeError);
});

test('lean: status, headers and body', async () => {
  const response = leanResponse(parts({ list: ['X-A', '1', 'set-cookie', 'a', 'Set-Cookie', 'b', 'set-cookie', 'c', '__proto__', 'd'] }));
  assert.equal(response.statusCode, 200);
  assert.deepEqual(Object.entries(response.headers), [['x-a', '1'], ['set-cookie', ['a', 'b', 'c']], ['__proto__', 'd']]);
  assert.equal(response.headers, response.headers);
  assert.equal(response.url, 'http://host/path');
  assert.equal(response.httpVersion, '1.1');
  assert.equal(response.redirected, false);
  assert.equal(response.attempts.length, 1);
  assert.equal(response.stopReason, 'completed');
  assert.equal(response.elapsedMs, 1.5);
  assert.equal(response.explain(), '#1 200\n');
  // It is there: it may be read again, without a copy.
  const memory = await response.body.arrayBuffer();
  assert.equal(memory.byteLength, Buffer.byteLength(TEXT));
  for await (const piece of response.body) assert.equal(piece.buffer, memory);
  assert.equal(await response.body.arrayBuffer(), memory);
  assert.equal((await response.body.bytes()).buffer, memory);
  assert.equal(await response.body.text(), TEXT);
  assert.equal(await (await response.body.blob()).text(), TEXT);
  await response.body.dump();
  assert.deepEqual(await leanResponse(parts({ body: Buffer.from('[1]') })).body.json(), [1]);
  assert.equal(await leanResponse(parts({ body: null })).body.text(), '');
});

test('lean: a streamed body is read once, piece by piece or not at all', async () => {
  let cancelled = 0;
  const endless = () =>
    new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(3)),
      cancel: () => void cancelled++,
    });
  const dumped = leanResponse(parts({ body: null, stream: endless() }));
  await dumped.body.dump();
  assert.equal(cancelled, 1);
  for await (const piece of leanResponse(parts({ body: null, stream: endless() })).body) {
    assert.equal(piece.length, 3);
    break;
  }
  assert.equal(cancelled, 2);
  const whole = leanResponse(parts({ body: null, stream: new Blob([TEXT]).stream() }));
  assert.equal(await whole.body.text(), TEXT);
  await assert.rejects(whole.body.text(), TypeError);
  await whole.body.dump();
});
