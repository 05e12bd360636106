// What ky does over the platform's fetch and over ours: the same. For version 1 and 2, by the tests of the libraries and of the newest Node.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';

/** What clients say of themselves, and what of a server's answer is the connection's. */
const OWN = new Set(['host', 'connection', 'user-agent', 'accept-encoding', 'accept-language', 'sec-fetch-mode', 'transfer-encoding']);
const OF_SERVER = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);

let origin;
/** Where nobody listens. */
let closed;
/** What the server says next, one after the other; then it says what it was asked. */
let answers = [];
let seen = [];

const server = createServer(async (request, response) => {
  const { status = 200, headers = {}, body, pieces, hint, hang, lost, words, early } = answers.shift() ?? {};
  const log = seen;
  if (early) response.writeEarlyHints({ link: '</x>; rel=preload' });
  const sent = await request.toArray().catch(() => []);
  const fields = Object.entries(request.headers).filter(([name]) => !OWN.has(name)).sort();
  let text = Buffer.concat(sent).toString('latin1');
  const [, boundary] = /boundary=(.+)$/.exec(request.headers['content-type'] ?? '') ?? [];
  const shown = fields.map(([name, value]) => [name, boundary && (name === 'content-type' ? value.replace(boundary, 'B') : name === 'content-length' ? 'some' : value) || value]);
  if (boundary) text = text.replaceAll(boundary, 'B');
  if (text.length > 1000) text = `${text.length} bytes`;
  log.push({ method: request.method, url: request.url, headers: Object.fromEntries(shown), body: text });
  if (lost === 'before') return request.socket.destroy();
  if (hang) return;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (hint !== undefined) response.setHeader('retry-after', hint);
  const echo = JSON.stringify(log.at(-1));
  if (body === undefined && pieces === undefined && !('content-type' in headers)) response.setHeader('content-type', 'application/json');
  response.writeHead(status, ...(words ? [words] : []));
  if (pieces === undefined) return response.end(body ?? echo);
  for (const piece of pieces) {
    response.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (lost === 'after') response.destroy();
  else if (lost !== 'never') response.end();
});

const busy = { status: 503, body: 'busy' };
const quick = { delay: () => 1, jitter: undefined };
const stream = (...pieces) => new ReadableStream({ pull: (controller) => (pieces.length > 0 ? controller.enqueue(Buffer.from(pieces.shift())) : controller.close()) });
const form = () => {
  const made = new FormData();
  made.append('a', 'x y');
  made.append('f', new Blob(['file']), 'name.txt');
  return made;
};

/** All that can be seen of a response. */
async function whole(response) {
  const { status, statusText, ok, url, redirected, type } = response;
  const headers = [...response.headers].filter(([name]) => !OF_SERVER.has(name));
  return { status, statusText, ok, url, redirected, type, headers, body: await response.text(), bodyUsed: response.bodyUsed };
}

/** Hooks take what they are given in turn in version 1, as one object in version 2. */
function hook(run) {
  return (first, options, response, state) => run(first instanceof Request ? { request: first, options, response, ...state } : first instanceof Error ? { error: first } : first);
}

/** Behaviours by name, each given an instance and ky's module; those named `fails: ...` must fail. What they give, or fail with, is compared, with what the server saw. */
function behavioursOf(two) {
  const base = two ? 'prefix' : 'prefixUrl';
  const verbs = Object.fromEntries(['get', 'post', 'put', 'patch', 'delete', 'head'].map((verb) => [`${verb}`, (ky) => ky[verb](origin).then(whole)]));
  const bodies = {
    text: () => 'h\u00e9', bytes: () => new Uint8Array([1, 2, 200]), memory: () => new Uint8Array([65]).buffer, search: () => new URLSearchParams({ a: '\u00e9', b: '2' }), form,
    blob: () => new Blob(['blob'], { type: 'a/b' }), stream: () => stream('a', 'bc'), nothing: () => '', large: () => 'x'.repeat(300_000),
  };
  const sends = Object.fromEntries(Object.entries(bodies).flatMap(([name, make]) => [
    [`body: ${name}`, (ky) => ky.post(origin, { body: make(), duplex: 'half' }).json()],
    [`body: ${name}, in a Request`, (ky) => ky(new Request(origin, { method: 'PUT', body: make(), duplex: 'half' })).json()],
    [`body: ${name}, again after a 503`, (ky) => (answers.push(busy), ky.put(origin, { body: make(), duplex: 'half', retry: { limit: 1, ...quick } }).json())],
    [`body: ${name}, its progress`, async (ky) => {
      let last;
      const { body } = await ky.post(origin, { body: make(), duplex: 'half', onUploadProgress: (progress) => (last = progress.percent) }).json();
      return [body, last];
    }],
  ]));
  const texts = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
  const coded = Object.fromEntries(Object.entries(texts).map(([coding, pack]) => [`answers: ${coding}`, async (ky) => {
    answers.push({ headers: { 'content-encoding': coding }, body: pack('{"packed":true}') });
    const chunks = [];
    const value = await ky(origin, { onDownloadProgress: (progress, chunk) => chunks.push(chunk) }).json();
    return [value, Buffer.concat(chunks).toString()];
  }]));
  const statuses = Object.fromEntries([200, 201, 202, 204, 205, 206, 300, 304, 400, 401, 404, 413, 416, 421, 429, 500].map((status) => [`status ${status}`, (ky) => (
    answers.push({ status, headers: { etag: '"1"', 'content-type': 'text/plain' }, body: [204, 205, 304].includes(status) ? '' : 'said' }),
    ky(origin, { throwHttpErrors: false, retry: 0 }).then(whole)
  )]));
  const errors = Object.fromEntries([304, 400, 401, 404, 422, 500].map((status) => [`fails: status ${status}`, (ky) => (answers.push({ status, headers: { 'content-type': 'application/json' }, body: status === 304 ? '' : '{"why":1}' }), ky(origin, { retry: 0 }))]));
  const redirects = Object.fromEntries([301, 302, 303, 307, 308].flatMap((status) => ['get', 'post', 'put'].map((verb) => [`redirect ${status} of ${verb}`, (ky) => (
    answers.push({ status, headers: { location: '/there?x' } }),
    ky(`${origin}/from`, { method: verb, headers: { 'x-a': '1', 'content-language': 'en' }, body: verb === 'get' ? undefined : 'payload' }).then(whole)
  )])));
  const hints = Object.fromEntries([['0', 429], [new Date(1e12).toUTCString(), 503]].map(([hint, status]) => [`retry-after ${hint}`, (ky) => (
    answers.push({ status, hint, body: '' }, { status, hint, body: '' }),
    ky(origin, { retry: { limit: 2, ...quick } }).text()
  )]));
  const reads = {
    json: (response) => response.json(), text: (response) => response.text(), arrayBuffer: async (response) => Buffer.from(await response.arrayBuffer()).toString(),
    blob: async (response) => [(await response.blob()).type, await (await response).bodyUsed],
  };
  const reading = Object.fromEntries(Object.entries(reads).map(([name, read]) => [`read: ${name}`, (ky) => (answers.push({ headers: { 'content-type': 'application/json' }, body: '[1]' }), read(ky(origin)))]));
  return {
    ...verbs, ...sends, ...coded, ...statuses, ...errors, ...redirects, ...hints, ...reading,

    'read: a form': async (ky) => (answers.push({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=1&a=2&b=%C3%A9+x' }), [...(await ky(origin).formData())]),
    'read: a form of parts': async (ky) => {
      answers.push({ headers: { 'content-type': 'multipart/form-data; boundary=B' }, body: '--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--B--\r\n' });
      return [...(await ky(origin).formData())];
    },
    'fails: a form of what is none': (ky) => ky(origin).formData(),
    'fails: no JSON': (ky) => (answers.push({ body: 'no' }), ky(origin).json()),
    'a mark before JSON': (ky) => (answers.push({ body: '\ufeff{"a":1}' }), ky(origin).json()),
    'pieces of JSON': (ky) => (answers.push({ pieces: ['[1', ',2', ']'] }), ky(origin).json()),
    parseJson: (ky) => ky(origin, { parseJson: (text) => ({ parsed: JSON.parse(text).method }) }).json(),
    'parseJson of nothing': (ky) => (answers.push({ status: 204, body: '' }), ky(origin, { parseJson: (text) => ({ text }) }).json()),
    'twice': async (ky) => {
      const response = await ky(origin);
      await response.text();
      return [response.bodyUsed, await response.text().catch(({ name }) => name)];
    },
    clones: async (ky) => {
      const response = await ky(origin);
      const copy = response.clone();
      return [await copy.clone().text(), await copy.text(), await response.text(), copy.url === response.url];
    },
    'clones of a stream': async (ky) => {
      answers.push({ pieces: ['one', 'two'] });
      const response = await ky(origin);
      const copy = response.clone();
      return Promise.all([copy.text(), response.text()]);
    },
    'pieces as they come': async (ky) => {
      answers.push({ headers: { 'content-type': 'text/event-stream' }, pieces: ['data: 1\n\n', 'data: 2\n\n'] });
      let text = '';
      for await (const piece of (await ky(origin)).body) text += Buffer.from(piece);
      return text;
    },
    'a body through others': async (ky) => {
      let text = '';
      for await (const piece of (await ky(origin)).body.pipeThrough(new TextDecoderStream())) text += piece;
      return text;
    },
    'a body that is cancelled': async (ky) => {
      answers.push({ pieces: ['begun'], lost: 'never' });
      const response = await ky(origin);
      const reader = response.body.getReader();
      const { value } = await reader.read();
      await reader.cancel('enough');
      return [Buffer.from(value).toString(), (await reader.read()).done];
    },
    'a response made of one': async (ky) => {
      answers.push({ headers: { 'set-cookie': ['a=1', 'b=2; Expires=Wed, 01 Jan 2031 00:00:00 GMT'], vary: 'a' }, body: 'x' });
      const response = await ky(origin);
      const made = new Response(response.body, response);
      return [made.headers.getSetCookie(), made.status, await made.text()];
    },
    // Of a type that is handed out at once: others are waited for a while, and may be had again.
    'fails: a body that breaks': (ky) => (answers.push({ headers: { 'content-type': 'text/event-stream' }, pieces: ['begun'], lost: 'after' }), ky(origin, { retry: 0 }).text()),
    'the words of a status': (ky) => (answers.push({ status: 404, words: 'Odd Words', body: '' }), ky(origin, { throwHttpErrors: false }).then(whole)),
    'an early hint': (ky) => (answers.push({ early: true, body: 'final' }), ky(origin).then(whole)),
    'the length of HEAD': (ky) => (answers.push({ headers: { 'content-length': '1234' }, body: '' }), ky.head(origin).then(whole)),
    'progress of an answer': async (ky) => {
      answers.push({ headers: { 'content-length': '6' }, pieces: ['one', 'two'] });
      const told = [];
      await ky(origin, { onDownloadProgress: ({ percent, transferredBytes, totalBytes }) => told.push([percent, transferredBytes, totalBytes]) }).text();
      return told.at(-1);
    },
    'progress of an empty answer': async (ky) => {
      const told = [];
      answers.push({ headers: { 'content-length': '0' }, body: '' });
      const text = await ky(origin, { onDownloadProgress: (progress, chunk) => told.push([progress, chunk.length]) }).text();
      return [text, told];
    },
    'clones that nobody reads': async (ky) => {
      const looked = [];
      const text = await ky(origin, { hooks: { afterResponse: [hook(({ response }) => void looked.push(response)), hook(({ response }) => void looked.push(response))] } }).text();
      return [text, looked.map(({ bodyUsed }) => bodyUsed)];
    },
    'progress of nothing': async (ky) => {
      const told = [];
      answers.push({ status: 204, body: '' });
      await ky(origin, { onDownloadProgress: (progress) => told.push(progress) });
      return told;
    },
    'progress that throws': async (ky) => ky(origin, { onDownloadProgress: 'no' }).then(whole, ({ name }) => name),

    'a URL': (ky) => ky(new URL('/x?y=1', origin)).json(),
    'a Request': (ky) => ky(new Request(origin, { method: 'POST', headers: { 'x-a': '1' }, body: 'x' })).json(),
    'a Request, once more': async (ky) => {
      const request = new Request(origin, { method: 'POST', body: 'x' });
      return [await ky(request.clone()).text(), await ky(request).text(), request.bodyUsed];
    },
    'over a Request': (ky) => ky(new Request(origin, { headers: { 'x-a': '1', 'x-b': '1' } }), { headers: { 'x-b': '2' }, method: 'PATCH', json: [1] }).json(),
    json: (ky) => ky.post(origin, { json: { a: '\u00e9' } }).json(),
    'json over a body': (ky) => ky.post(origin, { json: 1, body: 'x' }).json(),
    'json of another type': (ky) => ky.post(origin, { json: 1, headers: { 'content-type': 'application/vnd.api+json' } }).json(),
    stringifyJson: (ky) => ky.post(origin, { json: { a: 1 }, stringifyJson: (value) => JSON.stringify({ value }) }).json(),
    'fails: GET with a body': (ky) => ky.get(origin, { body: 'x' }),
    'header fields': (ky) => ky(origin, { headers: { 'X-Up': 'A b', 'x-empty': '', 'x-latin': '\u00e9' } }).json(),
    'header fields, Headers': (ky) => ky(origin, { headers: new Headers([['x-a', '1'], ['X-A', '2']]) }).json(),
    'header fields, accept of each': (ky) => ky(origin, { headers: [['Accept', 'a/b'], ['accept', 'c/d;q=0.5']] }).json(),
    'header fields, taken away': (ky) => ky.extend({ headers: { 'x-a': '1', 'x-b': '1' } })(origin, { headers: { 'x-a': undefined } }).json(),
    'fails: no header field': (ky) => ky(origin, { headers: { 'a b': '1' } }),
    'searchParams: text': (ky) => ky(`${origin}/?a=1`, { searchParams: '?b&c[0]=d e' }).json(),
    'searchParams: object': (ky) => ky(`${origin}/?a=1`, { searchParams: { b: true, c: undefined, d: '\u00e9&' } }).json(),
    'searchParams: pairs': (ky) => ky(origin, { searchParams: [['a', '1'], ['a', '2']] }).json(),
    'searchParams: themselves': (ky) => ky(`${origin}/x#part`, { searchParams: new URLSearchParams('a=1&a=2') }).json(),
    'a base': (ky) => ky.extend({ [base]: `${origin}/api/` })('users', { searchParams: 'a' }).json(),
    'fails: no URL': (ky) => ky('http://['),
    'fails: another scheme': (ky) => ky('invalid:', { retry: 0 }),
    'fails: another scheme, with a stream': (ky) => ky.post('invalid:', { body: stream('x'), duplex: 'half', retry: 0 }),
    'data: URL': (ky) => ky('data:text/plain,hello').text(),
    'a method of its own': (ky) => ky(origin, { method: 'REPORT' }).json(),
    credentials: (ky) => Promise.all(['omit', 'same-origin', 'include'].map((credentials) => ky(origin, { credentials, headers: { cookie: 'a=1', authorization: 'Bearer x' } }).text())),
    'what changes nothing': (ky) => ky(origin, { mode: 'cors', keepalive: true, priority: 'high', next: { revalidate: 1 }, referrerPolicy: 'origin', window: null }).json(),
    'no cache': (ky) => Promise.all(['no-store', 'no-cache', 'reload', 'default'].map((cache) => ky(origin, { cache }).text())),
    'a referrer': (ky) => ky(origin, { referrer: `${origin}/page?x#y` }).json(),
    'what was promised': (ky) => (answers.push({ body: 'abc' }), ky(origin, { integrity: 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=' }).text()),
    'fails: what was promised otherwise': (ky) => ky(origin, { integrity: 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=', retry: 0 }).text(),
    'a part': (ky) => (answers.push({ status: 206, headers: { 'content-range': 'bytes 2-5/10' }, body: '2345' }), ky(origin, { headers: { range: 'bytes=2-5', 'if-range': '"1"' } }).then(whole)),

    'hooks: a field': (ky) => ky(origin, { hooks: { beforeRequest: [hook(({ request }) => request.headers.set('x-hook', '1'))] } }).json(),
    'hooks: another request': (ky) => ky.post(origin, { body: 'x', hooks: { beforeRequest: [hook(({ request }) => new Request(request, { headers: { 'x-new': '1' } }))] } }).json(),
    'hooks: another body': (ky) => ky.post(origin, { json: 1, hooks: { beforeRequest: [hook(({ request }) => new Request(request, { body: 'other' }))] } }).json(),
    'hooks: an answer': (ky) => ky(origin, { hooks: { beforeRequest: [() => new Response('mine')] } }).text(),
    'hooks: another answer': (ky) => ky(origin, { hooks: { afterResponse: [hook(async ({ response }) => new Response(`${(await response.json()).method}!`, { status: 201 }))] } }).then(whole),
    'hooks: a look at the answer': async (ky) => {
      const looks = [];
      const text = await ky(origin, { hooks: { afterResponse: [hook(async ({ response }) => void looks.push(response.status, (await response.clone().json()).method))] } }).text();
      return [looks, text];
    },
    'hooks: once more with a token': (ky) => {
      answers.push({ status: 401, body: '' });
      const renew = async ({ request, response }) => {
        if (response.status !== 401) return undefined;
        request.headers.set('authorization', 'Bearer new');
        return ky(request, { retry: 0 });
      };
      return ky(origin, { hooks: { afterResponse: [hook(renew)] } }).json();
    },
    'hooks: in order': async (ky) => {
      const order = [];
      const one = ky.extend({ hooks: { beforeRequest: [() => void order.push(1)], afterResponse: [() => void order.push(3)] } });
      await one(origin, { hooks: { beforeRequest: [() => void order.push(2)], afterResponse: [() => void order.push(4)] } });
      return order;
    },
    'hooks: before a retry': (ky) => {
      answers.push(busy);
      const change = ({ request, retryCount }) => request.headers.set('x-retry', `${retryCount}`);
      return ky(origin, { retry: { limit: 1, ...quick }, hooks: { beforeRetry: [change] } }).json();
    },
    'hooks: no retry': (ky, { default: { stop } }) => (answers.push(busy), ky(origin, { retry: { limit: 1, ...quick }, hooks: { beforeRetry: [() => stop] } }).then((response) => response === undefined)),
    'fails: hooks: another error': (ky) => (answers.push({ status: 404, body: '' }), ky(origin, { hooks: { beforeError: [hook(({ error }) => (error.name = 'Mine', error))] } })),
    'fails: hooks: an error of its own': (ky) => ky(origin, { hooks: { beforeRequest: [() => { throw new RangeError('mine'); }] } }),

    'retry: twice': (ky) => (answers.push(busy, busy), ky(origin, { retry: quick }).json()),
    'retry: of a status': (ky) => (answers.push({ status: 418, body: '' }), ky(origin, { retry: { limit: 1, statusCodes: [418], ...quick } }).json()),
    'fails: retry: no more': (ky) => (answers.push(busy, busy, busy), ky(origin, { retry: { limit: 2, ...quick } })),
    'fails: retry: none of POST': (ky) => (answers.push(busy), ky.post(origin, { json: 1, retry: quick })),
    'retry: of POST': (ky) => (answers.push(busy), ky.post(origin, { json: { a: 1 }, retry: { methods: ['post'], limit: 1, ...quick } }).json()),
    'fails: retry: none': (ky) => (answers.push(busy), ky(origin, { retry: 0 })),
    'fails: retry: of another status': (ky) => (answers.push({ status: 400, body: '' }), ky(origin, { retry: { limit: 2, ...quick } })),
    'retry: hint of a 413': (ky) => (answers.push({ status: 413, hint: '0', body: '' }), ky(origin, { retry: { limit: 1 } }).json()),
    'fails: retry: 413 without a hint': (ky) => (answers.push({ status: 413, body: '' }), ky(origin, { retry: { limit: 1, ...quick } })),
    'retry: at most so long after a hint': (ky) => (answers.push({ status: 503, hint: '9', body: '' }), ky(origin, { retry: { limit: 1, maxRetryAfter: 1 } }).json()),
    'retry: back-off': (ky) => (answers.push(busy), ky(origin, { retry: { limit: 1, backoffLimit: 1, jitter: (delay) => Math.min(delay, 1) } }).json()),
    'retry: who is asked': async (ky) => {
      answers.push(busy, busy);
      const asked = [];
      const status = await ky(origin, { retry: { limit: 3, ...quick, shouldRetry: ({ error, retryCount }) => (asked.push([error.response?.status, retryCount]), retryCount < 2) } }).then((response) => response.status, ({ name }) => name);
      return [asked, status];
    },
    'retry: a lost connection': (ky) => (answers.push({ lost: 'before' }, { lost: 'before' }), ky(origin, { retry: { limit: 2, ...quick } }).json()),
    'fails: retry: a lost connection': (ky) => (answers.push({ lost: 'before' }, { lost: 'before' }), ky(origin, { retry: { limit: 1, ...quick } })),
    'fails: nobody there': (ky) => ky(closed, { retry: 0 }),
    'retry: after a timeout': (ky) => (answers.push({ hang: true }), ky(origin, { timeout: 1000, retry: { limit: 1, retryOnTimeout: true, ...quick }, ...(two ? { timeout: 150 } : {}) }).then(whole, ({ name }) => name)),
    'fails: timeout': (ky) => (answers.push({ hang: true }), ky(origin, { timeout: 100, retry: 0 })),
    'fails: timeout of an instance': (ky) => (answers.push({ hang: true }), ky.extend({ timeout: 100 })(origin, { retry: 0 })),
    'no timeout': (ky) => ky(origin, { timeout: false }).json(),
    'fails: timeout that is none': (ky) => ky(origin, { timeout: 21_474_836_470, retry: 0 }),

    'fails: aborted before': (ky) => ky(origin, { signal: AbortSignal.abort() }),
    'fails: aborted before, with a reason': (ky) => ky(origin, { signal: AbortSignal.abort(new RangeError('mine')) }),
    'fails: aborted while it waits': async (ky) => {
      answers.push({ hang: true });
      const control = new AbortController();
      const call = ky(origin, { signal: control.signal, retry: 0 });
      setTimeout(() => control.abort(), 50);
      return call;
    },
    'fails: aborted by the Request': async (ky) => {
      answers.push({ hang: true });
      const control = new AbortController();
      setTimeout(() => control.abort(), 50);
      return ky(new Request(origin, { signal: control.signal }), { retry: 0 });
    },
    'fails: aborted while the body is read': async (ky) => {
      answers.push({ pieces: ['begun'], lost: 'never' });
      const control = new AbortController();
      const response = await ky(origin, { signal: control.signal });
      const reader = response.body.getReader();
      await reader.read();
      control.abort();
      return reader.read();
    },
    'fails: aborted before the body is read': async (ky) => {
      answers.push({ pieces: ['begun'], lost: 'never' });
      const control = new AbortController();
      const response = await ky(origin, { signal: control.signal });
      control.abort();
      return response.text();
    },
    'fails: aborted while it sends': async (ky) => {
      const control = new AbortController();
      const body = new ReadableStream({ pull: (controller) => (controller.enqueue(new Uint8Array(10)), new Promise(() => {})) });
      setTimeout(() => control.abort(), 60);
      return ky.post(origin, { body, duplex: 'half', signal: control.signal, retry: 0 });
    },
    'a signal that outlives its calls': async (ky) => {
      const { signal } = new AbortController();
      const texts = [];
      for (let i = 0; i < 20; i += 1) texts.push((await ky(origin, { signal }).json()).method);
      return texts.length;
    },

    'redirect: manual': (ky) => (answers.push({ status: 302, headers: { location: '/x' }, body: 'moved' }), ky(origin, { redirect: 'manual', throwHttpErrors: false }).then(whole)),
    'fails: redirect: manual': (ky) => (answers.push({ status: 302, headers: { location: '/x' }, body: 'moved' }), ky(origin, { redirect: 'manual', retry: 0 })),
    'fails: redirect: error': (ky) => (answers.push({ status: 302, headers: { location: '/x' } }), ky(origin, { redirect: 'error', retry: 0 })),
    'fails: redirect: nowhere': (ky) => (answers.push({ status: 302, headers: { location: 'http://[' } }), ky(origin, { retry: 0 })),
    'fails: redirect: too many': (ky) => (answers.push(...Array.from({ length: 21 }, () => ({ status: 302, headers: { location: '/x' } }))), ky(origin, { retry: 0 })),
    'redirect: without a location': (ky) => (answers.push({ status: 302, body: 'x' }), ky(origin, { throwHttpErrors: false }).then(whole)),
    'many at once': async (ky) => (await Promise.all(Array.from({ length: 30 }, (_, at) => ky.post(origin, { json: at }).json()))).map(({ body }) => body),
  };
}

/** The outcome of a behaviour over a fetch, with what the server saw. */
async function outcome(module, fetch, run, name) {
  [answers, seen] = [[], []];
  let got;
  try {
    got = { value: await run(module.default.create({ fetch }), module) };
  } catch (error) {
    const { name, message, response, data, cause } = error;
    // Words of ours are no worse than others; those that ky and its users know failures by are the same.
    const known = /^(?:fetch failed|terminated|Request (?:timed out|failed).*)$/.test(message) ? message : typeof message;
    got = { error: name, message: known, status: response?.status, data, used: response?.bodyUsed, code: [cause?.code, cause?.cause?.code].find((code) => /^(?:UND_|E[A-Z]+$)/.test(code)) };
  }
  // A stream that has all at once is bytes to us, which have a length.
  if (name.endsWith('its progress')) for (const { headers } of seen) delete headers['content-length'];
  // What is aborted may have been on its way.
  return JSON.parse(JSON.stringify({ got, seen: got.error === 'AbortError' ? [] : seen }).replaceAll(origin, 'ORIGIN'));
}

/** Tests every behaviour of the module over `fetch`. */
export function alike(module, { fetch, close }) {
  const behaviours = behavioursOf('NetworkError' in module);
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    origin = `http://127.0.0.1:${server.address().port}`;
    const other = createServer();
    await once(other.listen(0, '127.0.0.1'), 'listening');
    closed = `http://127.0.0.1:${other.address().port}`;
    await new Promise((resolve) => other.close(resolve));
  });
  after(() => {
    close();
    server.close().closeAllConnections();
  });
  test('there are many', () => assert.ok(Object.keys(behaviours).length >= 80));
  for (const [name, run] of Object.entries(behaviours)) {
    test(name, { timeout: 20_000 }, async () => {
      const theirs = await outcome(module, (...args) => globalThis.fetch(...args), run, name);
      assert.equal('error' in theirs.got, name.startsWith('fails: '), JSON.stringify(theirs.got));
      assert.deepEqual(await outcome(module, fetch, run, name), theirs);
    });
  }
}
