'use strict';
// The same calls by the platform's fetch and by ours: what the server sees and what the caller gets must be the same.

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { once: event } = require('node:events');
const http = require('node:http');
const { before, after, test } = require('node:test');
const { gzipSync } = require('node:zlib');
const { createClient } = require('../index.js');
const { raw } = require('./support/raw.js');

const client = createClient({ policy: false });
/** What each client says of itself. */
const OWN = new Set(['host', 'connection', 'user-agent', 'accept-encoding', 'sec-fetch-mode']);
const OF_SERVER = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);
let at;
let seen = [];
/** Breaks the body of `/lost`. */
let lose;

/** Answers by its query: `s` status, `r` reason, `l` location, `b` body, `z` coding, `h` header fields as JSON; `/hop?n=3` redirects so often, `/slow` does not end. */
const server = http.createServer(async (request, response) => {
  const pieces = await request.toArray().catch(() => []);
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !OWN.has(name)));
  const form = /^multipart\/form-data; boundary=(.+)$/.exec(headers['content-type']);
  let body = Buffer.concat(pieces).toString('latin1');
  if (form) {
    body = body.replaceAll(form[1], 'B');
    Object.assign(headers, { 'content-type': 'multipart', 'content-length': headers['content-length'] && 'some' });
  }
  seen.push({ method: request.method, url: request.url, headers, body });
  const { pathname, searchParams: asked } = new URL(request.url, 'http://x');
  const hops = pathname === '/hop' ? Number(asked.get('n')) : 0;
  for (const [name, value] of JSON.parse(asked.get('h') ?? '[]')) response.appendHeader(name, value);
  if (hops > 0 || asked.has('l')) response.setHeader('location', hops > 0 ? `/hop?n=${hops - 1}` : asked.get('l'));
  if (asked.has('z')) response.setHeader('content-encoding', asked.get('z'));
  response.writeHead(hops > 0 ? 302 : Number(asked.get('s') ?? 200), asked.get('r') ?? undefined);
  if (pathname === '/lost') lose = () => response.destroy();
  if (pathname === '/slow' || pathname === '/lost') response.write('begun');
  else response.end(asked.has('z') && !asked.has('b') ? gzipSync('packed') : asked.get('b') ?? 'body');
});

before(async () => {
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  at = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  client.close();
  server.close();
  server.closeAllConnections();
});

/** What comes of a call: all that can be seen of the response, or the error. */
async function outcome(fetch, call) {
  seen = [];
  let got;
  try {
    got = await call(fetch);
    if (got instanceof Response) {
      const { status, statusText, ok, url, redirected, type } = got;
      const none = got.body === null;
      const headers = [...got.headers].filter(([name]) => !OF_SERVER.has(name));
      got = { status, statusText, ok, url, redirected, type, none, headers, body: await got.text().catch((error) => error.name) };
    }
  } catch (error) {
    got = { error: error?.name ?? error };
  }
  return { got, seen };
}

async function alike(cases) {
  for (const [name, call] of Object.entries(cases)) {
    const theirs = await outcome(globalThis.fetch, call);
    assert.deepEqual(await outcome(client.fetch, call), theirs, name);
  }
}

/** Cases of one call, one for each value. */
function each(values, call) {
  return Object.fromEntries(values.map((value) => [`${typeof value} ${String(value)}`, (fetch) => call(fetch, value)]));
}

const stream = (...pieces) => new ReadableStream({ pull: (controller) => (pieces.length > 0 ? controller.enqueue(pieces.shift()) : controller.close()) });
const BODIES = {
  text: () => 'h\u00e9', empty: () => '', number: () => 5, boxed: () => new String('boxed'), none: () => null,
  buffer: () => Buffer.from('b'), memory: () => new Uint8Array([65]).buffer, view: () => new DataView(new ArrayBuffer(2)), wide: () => new Uint16Array([65]),
  blob: () => new Blob(['x'], { type: 'a/b' }), untyped: () => new Blob(['x']), search: () => new URLSearchParams({ a: '\u00e9' }), stream: () => stream(Buffer.from('a')),
  form: () => {
    const form = new FormData();
    form.append('a"\n', 'x\ny');
    form.append('f', new Blob(['q']), 'n"m');
    return form;
  },
};

test('methods', () => alike({
  ...each(['GET', 'get', 'POST', 'post', 'PATCH', 'delete', 'Options', 'head', 'HEAD', 'CHICKEN', 'chicken', 'TRACE', 'CONNECT', 'track', 'a b', '', '\u00e9'], (fetch, method) => fetch(at, { method })),
  ...each(['GET', 'HEAD', 'POST', 'DELETE', 'CHICKEN'].map((method) => `with a body ${method}`), (fetch, name) => fetch(at, { method: name.slice(12), body: 'x' })),
}));

test('bodies', async () => {
  for (const [name, make] of Object.entries(BODIES)) {
    await alike({
      [name]: (fetch) => fetch(at, { method: 'POST', body: make(), duplex: 'half' }),
      [`${name}, with a type`]: (fetch) => fetch(at, { method: 'POST', body: make(), duplex: 'half', headers: { 'Content-Type': 'x/y' } }).then(() => seen.splice(0)[0].headers['content-type']),
      [`${name}, of GET`]: (fetch) => fetch(at, { body: make(), duplex: 'half' }),
      [`${name}, in place of a Request's`]: (fetch) => fetch(new Request(at, { method: 'POST', body: 'not this' }), { body: make(), duplex: 'half', headers: {} }),
      [`${name}, a Request's, once`]: async (fetch) => {
        const request = new Request(at, { method: 'POST', body: make(), duplex: 'half' });
        await (await fetch(request)).text();
        const [{ body }] = seen.splice(0);
        return [request.bodyUsed, body, await fetch(request).then(({ status }) => status, ({ name }) => name)];
      },
    });
  }
  await alike({
    locked: (fetch) => {
      const body = stream(Buffer.from('x'));
      body.getReader();
      return fetch(at, { method: 'POST', body, duplex: 'half' });
    },
  });
});

test('header fields', () => alike({
  ...each([' a ', 'a\tb', '\ta', 'a\r\nb', 'a\0b', '\u00e9', '\u20ac', '', 5, true, [1, 2], '\n', 'a\n', '\xa0a\xa0'], (fetch, value) => fetch(at, { headers: { 'x-a': value } })),
  ...each(['a b', '', '\u00e9', 'x:', 'X-Up', 'cookie', 'origin', 'referer', 'te', 'trailer', 'date', 'via', 'range', 'sec-x', 'proxy-x', 'transfer-encoding'], (fetch, name) => fetch(at, { headers: { [name]: '1' } })),
  'a pair of one': (fetch) => fetch(at, { headers: [['a']] }),
  'a pair of three': (fetch) => fetch(at, { headers: [['a', 'b', 'c']] }),
  'a text': (fetch) => fetch(at, { headers: 'abc' }),
  'a map': (fetch) => fetch(at, { headers: new Map([['x-a', '1']]) }),
  Headers: (fetch) => fetch(at, { headers: new Headers([['x-a', '1'], ['X-A', '2']]) }),
  'one name twice': (fetch) => fetch(at, { headers: [['x-a', '1'], ['x-a', '2']] }),
  'one name in two cases': (fetch) => fetch(at, { headers: { 'x-a': '1', 'X-A': '2' } }),
  ...each(['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range'], (fetch, name) => fetch(at, { headers: { [name]: '"1"' } })),
  'a condition, and a mode of the cache': (fetch) => fetch(at, { headers: { 'if-match': '*' }, cache: 'no-cache' }),
  ...each(['GET', 'HEAD', 'POST', 'DELETE'], (fetch, method) => fetch(at, { method, headers: { 'Content-Length': '5' } })),
  inherited: (fetch) => fetch(at, { headers: Object.create({ 'x-p': '1' }) }),
  "over a Request's": (fetch) => fetch(new Request(at, { headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } }),
  "none over a Request's": (fetch) => fetch(new Request(at, { headers: { 'x-a': '1' } }), { headers: {} }),
  received: async (fetch) => {
    const { headers } = await fetch(`${at}/?h=${encodeURIComponent(JSON.stringify([['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-a', '1'], ['X-A', '2']]))}`);
    return [headers.getSetCookie(), headers.get('x-a'), headers.has('X-A'), await new Promise((resolve) => resolve(headers.set('x-a', '3'))).catch(({ name }) => name)];
  },
}));

test('statuses and their words', async () => {
  for (const status of [200, 201, 204, 205, 206, 226, 300, 304, 400, 401, 404, 500, 503, 599]) {
    await alike({
      [status]: (fetch) => fetch(`${at}/?s=${status}`),
      [`HEAD ${status}`]: (fetch) => fetch(`${at}/?s=${status}`, { method: 'HEAD' }),
      [`POST ${status}`]: (fetch) => fetch(`${at}/?s=${status}`, { method: 'POST', body: 'x' }),
      [`${status} in other words`]: (fetch) => fetch(`${at}/?s=${status}&r=Odd%20Words`),
    });
  }
});

test('redirects', async () => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CHICKEN']) {
    for (const status of [301, 302, 303, 307, 308]) {
      await alike({
        [`${method} ${status}`]: (fetch) => fetch(`${at}/?s=${status}&l=/x`, { method }),
        [`${method} ${status}, with a body`]: (fetch) => fetch(`${at}/?s=${status}&l=/x`, { method, body: /GET|HEAD/.test(method) ? null : 'x' }),
      });
    }
  }
  for (const name of ['content-type', 'content-encoding', 'content-language', 'content-location', 'authorization', 'cookie', 'x-a']) {
    for (const status of [301, 303, 307]) await alike({ [`${name} ${status}`]: (fetch) => fetch(`${at}/?s=${status}&l=/x`, { method: 'POST', body: 'x', headers: { [name]: 'v' } }) });
  }
  for (const redirect of ['follow', 'manual', 'error']) {
    for (const location of ['?b=q', 'x', '//[', 'http://', 'mailto:a', 'data:,x', 'about:blank', 'javascript:1', 'ftp://h/', ':', 'http://a b/', '/a%zz', 'HTTP://127.0.0.1:1/', '\\x', 'file:///x', '/x\ty']) {
      for (const status of [200, 302, 304, 307]) {
        await alike({ [`${status} to ${location}, ${redirect}`]: (fetch) => fetch(`${at}/?s=${status}&l=${encodeURIComponent(location)}`, { redirect }) });
      }
    }
    await alike({ [`without a location, ${redirect}`]: (fetch) => fetch(`${at}/?s=302`, { redirect }) });
  }
  await alike(each([1, 19, 20, 21], (fetch, hops) => fetch(`${at}/hop?n=${hops}`)));
});

test('URLs', () => alike({
  ...each(['/rel', '', 'http://', 'about:blank', 'foo:', 'file:///x', 'ftp://x/', 'ws://x/', undefined, null, 5, 'data:text/html,x', 'data:', 'DATA:,x', 'data:;base64,YQ', 'data:text/plain;charset=x,\u00e9', 'data:x', 'blob:nodedata:nope', 'http://[::1', 'http://127.0.0.1:1/', 'http://127.0.0.1:99999'], (fetch, url) => fetch(url)),
  ...each(['/a b', '/\u00e9?\u00e9', '/a/../b', '\\x', '/?a=b c', ' ', '/%zz', '/#mine'], (fetch, rest) => fetch(at + rest)),
  'an object': (fetch) => fetch({ toString: () => at }),
  'a URL': (fetch) => fetch(new URL('/x', at)),
  ...each(['POST', 'HEAD', 'PUT'], (fetch, method) => fetch('data:,x', { method })),
  'a range of a blob': (fetch) => fetch(URL.createObjectURL(new Blob(['abc'], { type: 'a/b' })), { headers: { range: 'bytes=0-1' } }).then((got) => got.text()),
}));

test('init fields', async () => {
  const values = {
    mode: ['cors', 'same-origin', 'navigate', 'websocket', 'x', ''], credentials: ['omit', 'same-origin', 'include', 'x'], cache: ['default', 'no-store', 'no-cache', 'reload', 'force-cache', 'x'], redirect: ['follow', 'x', ''], referrer: ['', 'about:client', 'http://['],
    referrerPolicy: ['', 'no-referrer', 'x', 'origin'], integrity: ['', 'sha256-x', 'sha1-x', `sha256-${createHash('sha256').update('body').digest('base64')}`], keepalive: [true, false], duplex: ['half'], window: [null, {}, 'x'], body: [null], method: [undefined],
    signal: [null, undefined, {}, 'x', AbortSignal.abort(), AbortSignal.abort('why')], unknown: [1, {}],
  };
  for (const [name, all] of Object.entries(values)) {
    await alike(each(all, (fetch, value) => fetch(at, { [name]: value })));
    await alike(each(all, (fetch, value) => fetch(new Request(at, { [name]: value }))));
  }
  await alike({
    ...each([null, undefined, 5, 'x', () => {}], (fetch, init) => fetch(at, init)),
    'a Request as init': (fetch) => fetch(at, new Request(at, { method: 'POST', headers: { 'x-a': '1' } })),
    'a getter that throws': (fetch) => fetch(at, { get method() { throw new RangeError('mine'); } }),
    "no signal in place of a Request's": (fetch) => fetch(new Request(at, { signal: AbortSignal.abort() }), { signal: null }),
    'GET over a body': (fetch) => fetch(new Request(at, { method: 'POST', body: 'x' }), { method: 'GET' }),
  });
});

test('what is no request is told before that it was aborted', () => alike({
  'no URL': (fetch) => fetch('http://[', { signal: AbortSignal.abort() }),
  'no method': (fetch) => fetch(at, { method: 'a b', signal: AbortSignal.abort() }),
  'no header field': (fetch) => fetch(at, { headers: { 'a b': '1' }, signal: AbortSignal.abort() }),
  'a window': (fetch) => fetch(at, { window: {}, signal: AbortSignal.abort() }),
  'a mode': (fetch) => fetch(at, { mode: 'navigate', signal: AbortSignal.abort() }),
  'GET with a body': (fetch) => fetch(at, { body: 'x', signal: AbortSignal.abort() }),
  'nothing wrong': (fetch) => fetch(at, { signal: AbortSignal.abort() }),
}));

test('a signal that comes late', () => alike({
  'before the body is read': async (fetch) => {
    const control = new AbortController();
    const response = await fetch(`${at}/slow`, { signal: control.signal });
    control.abort();
    return response.text();
  },
  'while it is read': async (fetch) => {
    const control = new AbortController();
    const reader = (await fetch(`${at}/slow`, { signal: control.signal })).body.getReader();
    const { value } = await reader.read();
    control.abort();
    return [Buffer.from(value).toString(), await reader.closed.catch(({ name }) => name)];
  },
  'when nobody reads': async (fetch) => {
    const reader = (await fetch(`${at}/lost`)).body.getReader();
    const { value } = await reader.read();
    const closed = reader.closed.catch(({ name, message }) => [name, message]);
    lose();
    return [Buffer.from(value).toString(), await closed];
  },
  'after all': async (fetch) => {
    const control = new AbortController();
    const response = await fetch(at, { signal: control.signal });
    const text = await response.text();
    control.abort();
    return [text, response.bodyUsed];
  },
}));

test('reading', () => alike({
  ...each(['gzip', 'x-gzip', 'GZIP', 'what'], (fetch, coding) => fetch(`${at}/?z=${coding}`).then(async (got) => Buffer.from(await got.arrayBuffer()).length)),
  'what is no gzip': (fetch) => fetch(`${at}/?z=gzip&b=plain`).then((got) => got.text()),
  'no JSON': async (fetch) => (await fetch(at)).json(),
  JSON: async (fetch) => (await fetch(`${at}/?b=[1]`)).json(),
  'no form': async (fetch) => (await fetch(at)).formData(),
  'a form': async (fetch) => [...(await (await fetch(`${at}/?b=a%3D1&h=[["content-type","application/x-www-form-urlencoded"]]`)).formData())],
  'the type of a blob': async (fetch) => (await (await fetch(`${at}/?h=[["content-type","A/B;C=D"]]`)).blob()).type,
  twice: async (fetch) => {
    const response = await fetch(at);
    await response.text();
    return response.text();
  },
  clones: async (fetch) => {
    const response = await fetch(at);
    const copy = response.clone();
    await response.text();
    return [await copy.text(), copy.url === response.url, copy.status, await new Promise((resolve) => resolve(response.clone())).catch(({ name }) => name)];
  },
  locked: async (fetch) => {
    const response = await fetch(at);
    response.body.getReader();
    return [response.bodyUsed, await response.text().catch(({ name }) => name), await new Promise((resolve) => resolve(response.clone())).catch(({ name }) => name)];
  },
  cancelled: async (fetch) => {
    const response = await fetch(at);
    await response.body.cancel();
    return [response.bodyUsed, await response.text().catch(({ name }) => name)];
  },
  'in part': async (fetch) => {
    const response = await fetch(at);
    const reader = response.body.getReader();
    await reader.read();
    reader.releaseLock();
    return [response.bodyUsed, await response.text().catch(({ name }) => name)];
  },
}));

test('what servers write', async (t) => {
  const answers = {
    utf8: 'HTTP/1.1 200 OK\r\nx-a: \xc3\xa9\r\ncontent-length: 0\r\n\r\n',
    latin1: 'HTTP/1.1 200 OK\r\nx-a: \xe9\r\ncontent-length: 2\r\n\r\nok',
    'no words': 'HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n',
    'an empty field': 'HTTP/1.1 200 OK\r\nx-a:\r\ncontent-length: 0\r\n\r\n',
    '1.0': 'HTTP/1.0 200 OK\r\n\r\nold',
    'an early hint': 'HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    'a body after a 204': 'HTTP/1.1 204 No\r\ncontent-length: 3\r\n\r\n',
    'no HTTP': 'hello world',
    'another location in UTF-8': 'HTTP/1.1 302 F\r\nlocation: /\xc3\xa9\r\ncontent-length: 0\r\n\r\n',
    'a fragment': 'HTTP/1.1 302 F\r\nlocation: /x#new\r\ncontent-length: 0\r\n\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok',
  };
  const rest = 'HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n';
  const { url } = await raw(t, (text, socket) => {
    if (!text.endsWith('\r\n\r\n')) return;
    const [, path] = text.slice(text.lastIndexOf('GET ')).split(' ');
    const answer = answers[decodeURIComponent(path.slice(1))] ?? rest;
    socket.write(Buffer.from(answer, 'latin1'));
    if (!answer.includes('content-length')) socket.end();
  });
  for (const name of Object.keys(answers)) {
    await alike({ [name]: (fetch) => fetch(`${url}/${encodeURIComponent(name)}#mine`) });
    await alike({ [`${name}, manual`]: (fetch) => fetch(`${url}/${encodeURIComponent(name)}`, { redirect: 'manual' }) });
  }
});
