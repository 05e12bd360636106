// Libraries that take a fetch, over each of ours, against a local server: the first answer to each call is a 503, and events come one by one.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { createClient, retryFetch } from 'reknock';

const policy = { backoff: '1ms', methods: 'any', budget: 'none', maxRetries: 2 };
const client = createClient({ policy });
/** Libraries that bring a dispatcher of their own: `client.fetch` refuses it, `asFetch` is for them. */
const LENIENT = new Set(['@google/genai']);
const fetches = { 'client.fetch': client.fetch, 'client.asFetch()': client.asFetch(), retryFetch: retryFetch({ policy }) };

const message = { role: 'assistant', content: 'hi' };
const completion = { id: '1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message, finish_reason: 'stop', logprobs: null }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } };
const piece = (text) => ({ id: '1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { role: 'assistant', content: text }, finish_reason: null }] });
const answer = { id: '1', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'hi' }], stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } };

/** What the server says to a path's end, as JSON or as events. */
const ANSWERS = [
  [/chat\/completions$/, { json: completion, events: [piece('a'), piece('b')], last: 'data: [DONE]\n\n' }],
  [/v1\/messages$/, {
    json: answer,
    events: [{ type: 'message_start', message: { ...answer, content: [] } }, { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }, { type: 'message_stop' }],
    named: true,
  }],
  [/generateContent$/, { json: { candidates: [{ content: { role: 'model', parts: [{ text: 'hi' }] }, finishReason: 'STOP' }] } }],
  [/graphql/, { json: { data: { hello: 'world' } } }],
  [/v1\/customers/, { json: { id: 'cus_1', object: 'customer' } }],
  [/rows/, { json: [{ a: 1 }] }],
  [/./, { json: { a: 1 } }],
];

let origin;
let sends;
/** Told when the first event has arrived: the next one is not sent before. */
let seen;

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  if (++sends === 1) return response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":{"message":"busy"}}');
  const { json, events, last = '', named } = ANSWERS.find(([path]) => path.test(request.url.split('?')[0]))[1];
  if (!/"stream":\s*true/.test(body)) return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const [at, event] of events.entries()) {
    if (at === 1) await seen.promise;
    response.write(`${named ? `event: ${event.type}\n` : ''}data: ${JSON.stringify(event)}\n\n`);
  }
  response.end(last);
});

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  origin = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  client.close();
  server.closeAllConnections();
  server.close();
});

/** The first event, which must have come before the second one was sent; then the rest. */
async function streamed(events, texts) {
  const all = [];
  for await (const event of events) {
    all.push(event);
    seen.resolve();
  }
  assert.ok(all.length >= texts, `${all.length} events`);
}

const LIBRARIES = {
  axios: async (fetch) => {
    const { default: axios } = await import('axios');
    for (const Request of [null, globalThis.Request]) {
      sends = 0;
      assert.deepEqual((await axios.create({ adapter: 'fetch', env: { fetch, Request, Response } }).post(`${origin}/x`, { b: 2 })).data, { a: 1 });
    }
  },
  ky: async (fetch) => {
    const { default: ky } = await import('ky');
    assert.deepEqual(await ky.create({ fetch, retry: 0 }).get(`${origin}/x`).json(), { a: 1 });
    sends = 0;
    assert.deepEqual(await ky.create({ fetch, retry: 0 }).post(`${origin}/x`, { json: { b: 2 } }).json(), { a: 1 });
  },
  ofetch: async (fetch) => {
    const { createFetch } = await import('ofetch');
    assert.deepEqual(await createFetch({ fetch, defaults: { retry: 0 } })(`${origin}/x`, { method: 'POST', body: { b: 2 } }), { a: 1 });
  },
  gaxios: async (fetch) => {
    const { Gaxios } = await import('gaxios');
    assert.deepEqual((await new Gaxios({ fetchImplementation: fetch, retry: false }).request({ url: `${origin}/x`, method: 'POST', data: { b: 2 } })).data, { a: 1 });
  },
  openai: async (fetch) => {
    const { default: OpenAI } = await import('openai');
    const openai = new OpenAI({ apiKey: 'k', baseURL: `${origin}/v1`, fetch, maxRetries: 0 });
    assert.equal((await openai.chat.completions.create({ model: 'm', messages: [] })).choices[0].message.content, 'hi');
    sends = 0;
    await streamed(await openai.chat.completions.create({ model: 'm', messages: [], stream: true }), 2);
  },
  '@anthropic-ai/sdk': async (fetch) => {
    const { default: Anthropic } = await import('@anthropic-ai/sdk');
    const anthropic = new Anthropic({ apiKey: 'k', baseURL: origin, fetch, maxRetries: 0 });
    assert.equal((await anthropic.messages.create({ model: 'm', max_tokens: 1, messages: [] })).content[0].text, 'hi');
    sends = 0;
    await streamed(await anthropic.messages.create({ model: 'm', max_tokens: 1, messages: [], stream: true }), 3);
  },
  '@google/genai': async (fetch) => {
    const { GoogleGenAI } = await import('@google/genai');
    const before = globalThis.fetch;
    // This version takes no fetch of its own: whoever wants it sets the global one.
    globalThis.fetch = fetch === fetches.retryFetch ? retryFetch(before, { policy }) : fetch;
    try {
      const ai = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: origin } });
      assert.equal((await ai.models.generateContent({ model: 'm', contents: 'x' })).text, 'hi');
    } finally {
      globalThis.fetch = before;
    }
  },
  '@mistralai/mistralai': async (fetch) => {
    const { Mistral, HTTPClient } = await import('@mistralai/mistralai');
    const mistral = new Mistral({ apiKey: 'k', serverURL: origin, httpClient: new HTTPClient({ fetcher: fetch }) });
    assert.equal((await mistral.chat.complete({ model: 'm', messages: [{ role: 'user', content: 'x' }] })).choices[0].message.content, 'hi');
  },
  ai: async (fetch) => {
    const { generateText, streamText } = await import('ai');
    const { createOpenAI } = await import('@ai-sdk/openai');
    const model = createOpenAI({ apiKey: 'k', baseURL: `${origin}/v1`, fetch }).chat('m');
    assert.equal((await generateText({ model, prompt: 'x', maxRetries: 0 })).text, 'hi');
    sends = 0;
    await streamed(streamText({ model, prompt: 'x', maxRetries: 0 }).textStream, 2);
  },
  '@octokit/request': async (fetch) => {
    const { request } = await import('@octokit/request');
    assert.deepEqual((await request.defaults({ request: { fetch }, baseUrl: origin })('POST /x', { b: 2 })).data, { a: 1 });
  },
  'graphql-request': async (fetch) => {
    const { GraphQLClient } = await import('graphql-request');
    assert.deepEqual(await new GraphQLClient(`${origin}/graphql`, { fetch, errorPolicy: 'all' }).request('{ hello }'), { hello: 'world' });
  },
  '@urql/core': async (fetch) => {
    const { Client, fetchExchange, gql } = await import('@urql/core');
    const urql = new Client({ url: `${origin}/graphql`, fetch, exchanges: [fetchExchange], preferGetMethod: false });
    assert.deepEqual({ ...(await urql.query(gql`{ hello }`, {}).toPromise()).data }, { hello: 'world' });
  },
  '@apollo/client': async (fetch) => {
    const { ApolloClient, gql, HttpLink, InMemoryCache } = await import('@apollo/client');
    const apollo = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: `${origin}/graphql`, fetch }) });
    assert.deepEqual((await apollo.query({ query: gql`{ hello }` })).data, { hello: 'world' });
  },
  wretch: async (fetch) => {
    const { default: wretch } = await import('wretch');
    assert.deepEqual(await wretch(`${origin}/x`).polyfills({ fetch }).post({ b: 2 }).json(), { a: 1 });
  },
  '@supabase/postgrest-js': async (fetch) => {
    const { PostgrestClient } = await import('@supabase/postgrest-js');
    assert.deepEqual((await new PostgrestClient(origin, { fetch }).from('rows').select()).data, [{ a: 1 }]);
  },
  stripe: async (fetch) => {
    const { default: Stripe } = await import('stripe');
    const { hostname: host, port } = new URL(origin);
    const stripe = new Stripe('sk_test', { host, port, protocol: 'http', httpClient: Stripe.createFetchHttpClient(fetch), maxNetworkRetries: 0, telemetry: false });
    assert.equal((await stripe.customers.create({ name: 'x' })).id, 'cus_1');
  },
};

test('at least 15 libraries', () => assert.ok(Object.keys(LIBRARIES).length >= 15));

for (const [library, run] of Object.entries(LIBRARIES)) {
  for (const [name, fetch] of Object.entries(fetches)) {
    if (LENIENT.has(library) && name === 'client.fetch') continue;
    test(`${library} over ${name}`, { timeout: 20_000 }, async () => {
      sends = 0;
      seen = {};
      seen.promise = new Promise((resolve) => (seen.resolve = resolve));
      await run(fetch);
      assert.equal(sends, 2);
    });
  }
}
