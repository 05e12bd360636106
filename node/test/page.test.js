'use strict';
// Where a call says that it comes from, with undici's global origin and without: what servers see of the platform's fetch and of ours.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { before, after, beforeEach, test } = require('node:test');
const { setGlobalOrigin } = require('undici7');
const { createClient, retryFetch } = require('../index.js');

const client = createClient({ policy: false });
let seen = [];

/** Redirects to what its query says, one after the other: `?to=...`, with `&policy=...` as `Referrer-Policy` each. */
function answer(request, response) {
  const { rawHeaders: raw, method, url, headers } = request;
  const fields = raw.flatMap((name, at) => (at % 2 === 0 && /^(?:origin|referer)$/i.test(name) ? [`${name}: ${raw[at + 1]}`] : []));
  seen.push(`${method} ${headers.host} ${url.split('?')[0]} ${fields.sort().join(', ')}`);
  const { searchParams: asked } = new URL(url, 'http://x');
  const [to, ...rest] = asked.getAll('to');
  if (to === undefined) return response.end('body');
  const [policy, ...policies] = asked.getAll('policy');
  const next = new URL(to);
  for (const one of rest) next.searchParams.append('to', one);
  for (const one of policies) next.searchParams.append('policy', one);
  if (policy) response.setHeader('referrer-policy', policy);
  response.writeHead(Number(asked.get('status') ?? 302), { location: next.href }).end();
}

const servers = [http.createServer(answer), http.createServer(answer)];
let here;
let there;

before(async () => {
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening');
  [here, there] = servers.map((server) => `http://127.0.0.1:${server.address().port}`);
});
after(() => {
  setGlobalOrigin(undefined);
  client.close();
  for (const server of servers) server.close().closeAllConnections();
});
beforeEach(() => setGlobalOrigin(`${here}/dir/page?secret#part`));

/** What a call sends, and what its response says of where that came from; or that it failed. */
async function outcome(fetch, call) {
  seen = [];
  const got = await call(fetch).then(({ url, type, redirected }) => ({ url, type, redirected }), ({ name }) => name);
  return { got, seen };
}

async function alike(name, call) {
  assert.deepEqual(await outcome(client.fetch, call), await outcome(globalThis.fetch, call), name);
}

/** Of every version of the platform's that we know: others do less than the standard has. */
const POLICIES = ['', 'origin', 'strict-origin', 'strict-origin-when-cross-origin', 'unsafe-url'];

test('URLs are relative to the page', async () => {
  for (const url of ['', '/x', 'x?a=b', '../x', '//127.0.0.1:1/', '?q', '#top', 'x y', '\u00e9', 'http://[', 'http:x']) await alike(url, (fetch) => fetch(url));
  await alike('a Request', (fetch) => fetch(new Request('x')));
  const based = createClient({ policy: false, baseUrl: there });
  assert.equal((await based('x')).url, `${there}/x`);
  based.close();
  assert.equal((await retryFetch()('x')).url, `${here}/dir/x`);
  setGlobalOrigin(undefined);
  await alike('none', (fetch) => fetch('/x'));
});

test('what is told of it', async () => {
  for (const to of [() => here, () => there]) {
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'CHICKEN']) {
      for (const referrerPolicy of POLICIES) await alike(`${method} ${referrerPolicy}`, (fetch) => fetch(to(), { method, referrerPolicy }));
      for (const referrer of ['', 'about:client', 'other#x', here, there, 'data:,x', 'http://[']) {
        await alike(`${method} ${referrer}`, (fetch) => fetch(to(), { method, referrer }));
        await alike(`${method} ${referrer}, a Request`, async (fetch) => fetch(new Request(to(), { method, referrer, referrerPolicy: 'unsafe-url' })));
        await alike(`${method} ${referrer}, a Request and an init`, async (fetch) => fetch(new Request(to(), { method, referrer, referrerPolicy: 'origin' }), { cache: 'default' }));
        await alike(`${method} ${referrer}, a Request and an empty init`, async (fetch) => fetch(new Request(to(), { method, referrer, referrerPolicy: 'origin' }), { unknown: 1 }));
        await alike(`${method} ${referrer}, a Request as init`, async (fetch) => fetch(to(), new Request(here, { method, referrer })));
      }
      for (const mode of ['cors', 'same-origin', 'no-cors']) await alike(`${method} ${mode}`, (fetch) => fetch(to(), { method, mode }));
    }
  }
});

test('what is told behind redirects', async () => {
  const leads = { here: () => [here], there: () => [there], 'there and there': () => [there, there], 'here and there': () => [here, there] };
  for (const [name, all] of Object.entries(leads)) {
    for (const method of ['GET', 'POST', 'PUT']) {
      for (const policies of [[], ['origin'], ['no-such, unsafe-url, nor-this'], ['unsafe-url', 'origin']]) {
        for (const status of [302, 303, 307]) {
          const query = new URLSearchParams([['status', status], ...all().map((to) => ['to', to]), ...policies.map((one) => ['policy', one])]);
          await alike(`${method} ${status} ${name} ${policies}`, (fetch) => fetch(`/?${query}`, { method }));
        }
      }
    }
  }
  await alike('another origin, same-origin', (fetch) => fetch(`/?to=${there}`, { mode: 'same-origin' }));
  await alike('the same, same-origin', (fetch) => fetch(`/?to=${here}`, { mode: 'same-origin' }));
});

test('without a page', async () => {
  setGlobalOrigin(undefined);
  for (const to of [here, `${here}/?to=${there}`, `${here}/?to=${here}&policy=unsafe-url`]) {
    for (const method of ['GET', 'POST']) {
      await alike(`${method} ${to}`, (fetch) => fetch(to, { method }));
      for (const referrer of ['', 'about:client', `${here}/of?mine#x`, `${there}/of?mine`, 'relative']) {
        for (const referrerPolicy of POLICIES) await alike(`${method} ${to} ${referrer} ${referrerPolicy}`, (fetch) => fetch(to, { method, referrer, referrerPolicy }));
      }
    }
  }
  await alike('same-origin', (fetch) => fetch(`${here}/?to=${there}`, { mode: 'same-origin' }));
});

/** What versions of the platform do less well: told is what the standard has. */
test('what the standard has', async () => {
  const page = `${here}/dir/page?secret`;
  const fields = async (url, init) => {
    seen = [];
    await client(url, init);
    return seen.map((line) => line.split(' ').slice(3).join(' '));
  };
  assert.deepEqual(await fields(there, { referrerPolicy: 'no-referrer' }), ['']);
  assert.deepEqual(await fields(here, { referrerPolicy: 'same-origin' }), [`referer: ${page}`]);
  assert.deepEqual(await fields(there, { referrerPolicy: 'same-origin' }), ['']);
  assert.deepEqual(await fields(here, { referrerPolicy: 'origin-when-cross-origin' }), [`referer: ${page}`]);
  assert.deepEqual(await fields(there, { referrerPolicy: 'origin-when-cross-origin' }), [`referer: ${here}/`]);
  assert.deepEqual(await fields(there, { referrerPolicy: 'no-referrer-when-downgrade' }), [`referer: ${page}`]);
  assert.deepEqual(await fields(`/?to=${there}&to=${here}`), [`referer: ${page}`, `origin: ${here}, referer: ${here}/`, `origin: null, referer: ${here}/`]);
  assert.deepEqual(await fields(`/?to=${there}&policy=no-referrer`), [`referer: ${page}`, `origin: ${here}`]);
  assert.deepEqual(await fields(there, { method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer' }), ['origin: null']);
  assert.deepEqual(await fields(here, { method: 'POST', headers: { Origin: 'mine', referer: 'mine' } }), ['origin: mine, referer: mine']);
});
