'use strict';
// The same requests through global fetch and through ours: what arrives and what comes back must be the same, but for what README.md lists.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createClient } = require('../index.js');
const { serve, status, DONE, ECHO } = require('./support/server.js');

const ours = createClient({ policy: false });

/** Fields that are the client's own business: who it is, and what it accepts. */
const OWN = ['accept', 'accept-language', 'accept-encoding', 'sec-fetch-mode', 'user-agent', 'connection', 'host'];

/** What a response says of itself; its body is read as `reader` does. */
async function shown(response, reader, base) {
  const { status, statusText, ok, redirected, type } = response;
  const headers = [...response.headers].filter(([name]) => !['date', 'connection'].includes(name));
  const url = response.url.replace(base, '');
  const body = await response[reader]().then(
    (value) => (value instanceof Blob ? [value.type, value.size] : value instanceof ArrayBuffer ? Buffer.from(value) : value instanceof FormData ? [...value] : value),
    ({ name, message }) => [name, message],
  );
  return { status, statusText, ok, redirected, type, url, headers, body, used: response.bodyUsed, none: response.body === null };
}

/** What arrived. */
function arrived(log, base) {
  return log.map(({ method, target, headers, body_sha256, body_size }) => {
    // Lines of one name and one line of their values say the same.
    const own = [...new Headers(headers)].filter(([name]) => !OWN.includes(name)).map(([name, value]) => [name, value.replace(base, '')]);
    return { method, target, body_sha256, body_size, headers: own };
  });
}

async function both(t, outcomes, reader, call) {
  const seen = [];
  for (const fetch of [globalThis.fetch, ours]) {
    const script = await serve(t, ...outcomes);
    const outcome = await call(fetch, script.url).then(
      (response) => shown(response, reader, script.url),
      (error) => ({ rejected: error.name === 'ReknockError' ? 'TypeError' : error.name }),
    );
    seen.push({ outcome, log: arrived(await script.log(), script.url) });
  }
  const [theirs, own] = seen;
  assert.deepEqual(own, theirs);
  return own;
}

const JSON_ = [['content-type', 'application/json; charset=utf-8']];
const FORM = [['content-type', 'application/x-www-form-urlencoded']];

for (const [name, outcome, readers] of [
  ['text', status(200, 'hé', { headers: [['content-type', 'text/plain; charset=iso-8859-1'], ['X-A', 'b'], ['x-a', 'c'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']] }), ['text', 'blob', 'arrayBuffer', 'json', 'formData']],
  ['JSON', status(200, '\ufeff{"a": [1, null]}', { headers: JSON_ }), ['json', 'text', 'blob']],
  ['a form', status(200, 'a=1&a=2&b=x+y%20', { headers: FORM }), ['formData', 'text']],
  ['bytes that are no text', status(200, undefined, { body_base64: '//79wyg=', body: undefined }), ['text', 'arrayBuffer']],
  ['nothing', status(200, ''), ['text', 'json', 'arrayBuffer', 'blob']],
  ['no content', { do: 'status', status: 204 }, ['text', 'json', 'blob']],
  ['not modified', { do: 'status', status: 304 }, ['text', 'arrayBuffer']],
  ['a status of its own', status(599, 'odd'), ['text']],
  ['chunks', status(200, 'in pieces', { chunked: true, drip: { bytes: 3, every: '1ms' } }), ['text', 'arrayBuffer']],
]) {
  for (const reader of readers) test(`${name}, as ${reader}`, (t) => both(t, [outcome], reader, (fetch, url) => fetch(`${url}/x?y=%20z#fragment`)));
}

const form = () => {
  const data = new URLSearchParams();
  data.append('a', 'b c');
  return data;
};

for (const [name, init] of [
  ['text', { body: 'hé' }],
  ['nothing', {}],
  ['bytes', { body: new Uint8Array([1, 2, 3]) }],
  ['a form', { body: form() }],
  ['a Blob', { body: new Blob(['abc'], { type: 'a/b' }) }],
  ['a stream', { body: new Blob(['abc']).stream(), duplex: 'half' }],
  ['a content-type of its own', { body: 'x', headers: { 'Content-Type': 'a/b' } }],
  ['headers', { body: 'x', headers: [['x-a', '1'], ['X-A', '2'], ['x-b', ' padded ']] }],
]) {
  for (const method of ['POST', 'put', 'PATCH', 'DELETE']) {
    const own = { ...init, method, ...(init.duplex && { body: undefined, duplex: 'half' }) };
    const made = () => (init.duplex ? { ...own, body: new Blob(['abc']).stream() } : own);
    if (method === 'DELETE' && name === 'nothing') continue;
    test(`${method} with ${name}`, (t) => both(t, [DONE], 'text', (fetch, url) => fetch(url, made())));
    // A Request does not say how long a Blob in it is: it is sent as a stream.
    if (!init.duplex && name !== 'a Blob') test(`${method} with ${name}, as a Request`, (t) => both(t, [DONE], 'text', (fetch, url) => fetch(new Request(`${url}/x`, made()))));
  }
}

for (const code of [301, 302, 303, 307, 308]) {
  for (const [method, body] of [['GET'], ['HEAD'], ['POST', 'content'], ['PUT', 'content'], ['DELETE']]) {
    test(`${method} is redirected by ${code}`, (t) =>
      both(t, [{ do: 'redirect', status: code, location: '/next?a=b#c' }, DONE], 'text', (fetch, url) => fetch(`${url}/first`, { method, body, headers: { 'x-a': '1', authorization: 'Basic x' } })));
  }
}

test('a redirect without a place to go', (t) => both(t, [status(302, 'lost')], 'text', (fetch, url) => fetch(url)));
test('a redirect that is not followed', async (t) => {
  const { outcome } = await both(t, [{ do: 'redirect', status: 302, location: '/next' }], 'text', (fetch, url) => fetch(url, { redirect: 'manual' }));
  assert.equal(outcome.status, 302);
});
test('a redirect that must not be', (t) => both(t, [{ do: 'redirect', status: 302, location: '/next' }], 'text', (fetch, url) => fetch(url, { redirect: 'error' })));
test('redirects without an end', (t) => both(t, [{ do: 'redirect', status: 302, location: '/again' }], 'text', (fetch, url) => fetch(url)).catch(({ message }) => {
  // The platform follows 20, we follow 10 (an option).
  assert.match(message, /\/again/);
}));

test('another origin gets no credentials', async (t) => {
  const other = await serve(t, ECHO);
  const { outcome } = await both(t, [{ do: 'redirect', status: 307, location: `${other.url}/x` }], 'text', (fetch, url) =>
    fetch(url, { method: 'POST', body: 'content', headers: { authorization: 'secret', cookie: 'secret', 'x-a': '1' } }).then(async (response) => {
      const { headers, method, body } = await response.json();
      const kept = headers.filter(([name]) => !OWN.includes(name)).sort();
      return new Response(JSON.stringify({ kept, method, body }));
    }),
  );
  assert.doesNotMatch(outcome.body, /secret/);
});

for (const [name, outcome] of [
  ['a reset', { do: 'reset' }],
  ['a close', { do: 'close' }],
  ['nobody', { do: 'refused' }],
  ['no HTTP', { do: 'garbage' }],
]) {
  test(`rejects: ${name}`, (t) => both(t, [outcome], 'text', (fetch, url) => fetch(url, { method: 'POST', body: 'x' })));
}
