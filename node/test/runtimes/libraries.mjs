// Libraries that load on newer Nodes alone, over ours: run by runtimes.test.js.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import got from 'got';
import ky from 'ky';
import OpenAI from 'openai';
import { attemptsOf, createClient, retryFetch, retrying } from '../../index.mjs';

const policy = { backoff: '1ms', methods: 'any', budget: 'none' };
const client = createClient({ policy });
const fetches = { 'client.fetch': client.fetch, 'client.asFetch()': client.asFetch(), retryFetch: retryFetch({ policy }) };
const choice = (key, content) => ({ id: '1', created: 1, model: 'm', choices: [{ index: 0, [key]: { role: 'assistant', content }, finish_reason: null }] });
let origin;
let sends = 0;
/** Called when the first event has arrived: the next one is not sent before. */
let seen;

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  if (++sends === 1) return response.writeHead(503).end('{}');
  if (!/"stream":\s*true/.test(body)) return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ a: 1, ...choice('message', 'hi') }));
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${JSON.stringify(choice('delta', 'a'))}\n\n`);
  await new Promise((resolve) => (seen = resolve));
  response.end(`data: ${JSON.stringify(choice('delta', 'b'))}\n\ndata: [DONE]\n\n`);
});
before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  origin = `http://127.0.0.1:${server.address().port}`;
});
beforeEach(() => (sends = 0));
after(() => {
  client.close();
  server.closeAllConnections();
  server.close();
});

for (const [name, fetch] of Object.entries(fetches)) {
  test(`ky 2 over ${name}`, async () => {
    const own = ky.create({ fetch, retry: 0 });
    assert.equal((await own.post(`${origin}/x`, { json: { b: 2 } }).json()).a, 1);
    assert.equal(sends, 2);
    assert.equal((await own.get(`${origin}/x`).json()).a, 1);
  });

  test(`openai 7 over ${name}`, async () => {
    const openai = new OpenAI({ apiKey: 'k', baseURL: `${origin}/v1`, fetch, maxRetries: 0 });
    assert.equal((await openai.chat.completions.create({ model: 'm', messages: [] })).choices[0].message.content, 'hi');
    assert.equal(sends, 2);
    const texts = [];
    for await (const { choices } of await openai.chat.completions.create({ model: 'm', messages: [], stream: true })) {
      texts.push(choices[0].delta.content);
      seen();
    }
    assert.deepEqual(texts, ['a', 'b']);
  });
}

test('got 16 by retrying()', async () => {
  const call = retrying(() => got.post(`${origin}/x`, { json: { b: 2 }, retry: { limit: 0 } }), { policy });
  const response = await call();
  assert.deepEqual([JSON.parse(response.body).a, sends, attemptsOf(response).attempts.map(({ status }) => status)], [1, 2, [503, 200]]);
  sends = 0;
  const gone = await retrying(() => got('http://127.0.0.1:1/', { retry: { limit: 0 } }), { policy })().catch((error) => error);
  assert.deepEqual(attemptsOf(gone).attempts.map(({ error }) => error), ['connect', 'connect', 'connect']);
});
