// Under the globals of a page, as jest's and vitest's environments set them: `node pages.mjs jsdom|happy-dom URL`. Run by runtimes.test.js.

import { createRequire } from 'node:module';

const [kind, url] = process.argv.slice(2);
const own = { Headers, Request, Response };
let window;
if (kind === 'jsdom') {
  const { JSDOM } = await import('jsdom');
  ({ window } = new JSDOM('', { url: 'http://localhost/' }));
} else {
  const { Window } = await import('happy-dom');
  window = new Window({ url: 'http://localhost/' });
}
// What of the page's a test then uses in place of Node's.
for (const name of ['AbortController', 'AbortSignal', 'Blob', 'Event', 'EventTarget', 'File', 'FormData', 'Headers', 'Request', 'Response', 'URL', 'URLSearchParams', 'DOMException', 'fetch', 'document', 'window']) {
  const value = name === 'window' ? window : window[name];
  if (value !== undefined) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

const { createClient } = createRequire(import.meta.url)('../../index.js');
const client = createClient({ policy: { backoff: '1ms', methods: 'any', budget: 'none' } });
const said = [];
const post = async (path, init) => {
  const response = await client(`${url}/${path}`, { method: 'POST', ...init });
  said.push([path, response.status, response.attempts.length, JSON.parse(await response.text())]);
};
await post('text', { body: 'text', headers: new Headers({ 'x-a': '1' }) });
await post('search', { body: new URLSearchParams({ a: '1' }) });
await post('blob', { body: new Blob(['blob'], { type: 'a/b' }) });
const form = new FormData();
form.append('a', '1');
form.append('f', new File(['file'], 'name.txt', { type: 'text/plain' }));
await post('form', { body: form });
await post('url', { body: new URL('/x', 'http://h/').href, signal: new AbortController().signal });
const control = new AbortController();
const hanging = client(new URL(`${url}/hang`), { signal: control.signal }).catch((error) => said.push(['abort', error?.name]));
setTimeout(() => control.abort(), 20);
await hanging;
const node = new own.Headers({ 'x-a': '2' });
await post('headers', { body: 'x', headers: node });
console.log(JSON.stringify(said));
client.close();
process.exit();
