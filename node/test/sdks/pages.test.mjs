// The code of docs/sdk/node.md, as it stands there: a 503 is repeated by us; and what is said there of each library's own retries.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const page = readFileSync(path.join(here, '../../../docs/sdk/node.md'), 'utf8');
const sections = new Map([...page.matchAll(/^## (.+)\n[^]*?```js\n([^]*?)```/gm)].map(([, name, code]) => [name, code]));
// Where what is imported is found.
const folder = path.join(here, 'node_modules', '.pages');

const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const completion = { id: '1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }], usage };
const message = { id: '1', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'hello' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } };
const order = { id: 'hello' };
const buckets = '<ListAllMyBucketsResult><Buckets><Bucket><Name>hello</Name></Bucket></Buckets></ListAllMyBucketsResult>';
const llm = (place) => ({ body: completion, put: { [place]: "baseURL: ORIGIN + '/v1', apiKey: 'k', " } });

/**
 * Of each section: what it is answered in the end; what is put into its code, so that it knows where; what switches the library's own loop off, and how
 * often it sends to a server that is busy where that is left out.
 */
const LIBRARIES = {
  openai: { ...llm('new OpenAI({ '), off: ', maxRetries: 0', alone: 3 },
  anthropic: { body: message, put: { 'new Anthropic({ ': "baseURL: ORIGIN, apiKey: 'k', " }, off: ', maxRetries: 0', alone: 3 },
  'google-genai': { body: { candidates: [{ content: { role: 'model', parts: [{ text: 'hello' }] } }] }, put: { 'new GoogleGenAI({': "apiKey: 'k', httpOptions: { baseUrl: ORIGIN }" }, alone: 1 },
  mistral: { body: completion, put: { 'new Mistral({ ': "serverURL: ORIGIN, apiKey: 'k', " }, alone: 1 },
  'vercel-ai': { ...llm('createOpenAI({ '), off: ', maxRetries: 0', alone: 3 },
  'aws-sdk-3': { body: buckets, put: { 'new S3Client({ ': "endpoint: ORIGIN, region: 'a', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, " }, off: 'retryStrategy: retryStrategy({ policy: { maxRetries: 3 } })', alone: 3 },
  stripe: { body: { ...order, object: 'customer' }, put: { 'createFetchHttpClient(fetch)': ", host: new URL(ORIGIN).hostname, port: new URL(ORIGIN).port, protocol: 'http', telemetry: false" }, off: ', maxNetworkRetries: 0', alone: 3 },
  octokit: { body: { login: 'hello' }, put: { 'new Octokit({ ': 'baseUrl: ORIGIN, ' }, off: ', retry: { enabled: false }', on: ', retry: { retryAfterBaseValue: 1 }', alone: 4 },
  axios: { body: order, alone: 1 },
  ky: { body: order, off: ', retry: 0', alone: 3 },
  ofetch: { body: order, off: ', defaults: { retry: 0 }', alone: 2 },
  got: { body: order, off: ', { retry: { limit: 0 } }', alone: 3 },
  gaxios: { body: order, off: ', retry: false', alone: 1 },
  'graphql-request': { body: { data: { order } }, alone: 1 },
  apollo: { body: { data: { order } }, alone: 1 },
  urql: { body: { data: { order } }, alone: 1 },
  wretch: { body: order, alone: 1 },
  supabase: { body: [order], off: ', retry: false', alone: 4 },
  'node-fetch': { body: order, alone: 1 },
  'cross-fetch': { body: order, alone: 1 },
};

let busy;
let sends;
let body;
const server = createServer((request, response) => {
  request.resume();
  sends += 1;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(sends <= busy ? 503 : 200, { 'content-type': text[0] === '<' ? 'application/xml' : 'application/json' }).end(sends <= busy ? '{}' : text);
});
const globals = globalThis.fetch;

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  mkdirSync(folder, { recursive: true });
});
after(() => {
  rmSync(folder, { recursive: true });
  server.closeAllConnections();
  server.close();
});

/** Runs code of the page: what it printed, or its error. */
async function run(name, code, library, most) {
  const printed = [];
  Object.assign(globalThis, { ORIGIN: `http://127.0.0.1:${server.address().port}`, printed: (text) => printed.push(text) });
  [sends, busy, body] = [0, most, library.body];
  for (const [place, more] of Object.entries(library.put ?? {})) {
    assert.ok(code.includes(place), `${name}: ${place}`);
    code = code.replace(place, place + more);
  }
  const file = path.join(folder, `${name}-${most}.mjs`);
  writeFileSync(file, code.replaceAll("'https://api.example.com", "ORIGIN + '").replace('console.log(', 'printed('));
  try {
    await import(pathToFileURL(file));
    return printed;
  } catch (error) {
    return error;
  } finally {
    globalThis.fetch = globals;
  }
}

test('each section of the page is here', () => assert.deepEqual([...sections.keys()], Object.keys(LIBRARIES)));

for (const [name, library] of Object.entries(LIBRARIES)) {
  test(`${name}: as the page says`, { timeout: 60_000 }, async () => {
    assert.deepEqual(await run(name, sections.get(name), library, 1), ['hello']);
    assert.equal(sends, 2);
  });

  test(`${name}: its own retries`, { timeout: 60_000 }, async () => {
    const { off, on = '', alone } = library;
    const code = sections.get(name).replace(/createClient\(.*?\)(?=[.;])/, 'createClient({ policy: false })').replace('retrying((url)', '((url)').replace('retryFetch(', '(').replace(', { idempotent: true })', ')');
    assert.ok(off === undefined || code.includes(off), off);
    const error = await run(name, off === undefined ? code : code.replace(off, on), library, 100);
    assert.equal(sends, alone, `${error}`);
  });
}
