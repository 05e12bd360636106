'use strict';
// What surrounds the package: variables of Node's own TLS, and globals that are missing.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { createClient } = require('../index.js');
const { serve, status, DONE } = require('./support/server.js');

/** Sets variables until the test is over. */
function set(t, variables) {
  const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]));
  Object.assign(process.env, variables);
  t.after(() => {
    for (const [name, value] of Object.entries(before)) if (value === undefined) delete process.env[name]; else process.env[name] = value;
  });
}

test('NODE_EXTRA_CA_CERTS is trusted by clients that are not told whom to trust', async (t) => {
  const script = await serve(t, status(200, 'safe'), { tls: 'trusted' });
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'ca.pem'), script.ca);
  await assert.rejects(createClient({ policy: false })(script.url), { kind: 'tls' });
  set(t, { NODE_EXTRA_CA_CERTS: path.join(folder, 'ca.pem') });
  assert.equal(await createClient({ policy: false })(script.url).text(), 'safe');
  await assert.rejects(createClient({ policy: false, verify: true })(script.url), { kind: 'tls' });
});

test('NODE_TLS_REJECT_UNAUTHORIZED=0 is heeded, with a warning', async (t) => {
  const script = await serve(t, status(200, 'unsafe'), { tls: 'trusted' });
  set(t, { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  const warned = new Promise((resolve) => process.once('warning', resolve));
  assert.equal(await createClient({ policy: false })(script.url).text(), 'unsafe');
  assert.match((await warned).message, /^reknock: NODE_TLS_REJECT_UNAUTHORIZED is 0/);
  await assert.rejects(createClient({ policy: false, verify: true })(script.url), { kind: 'tls' });
});

test('without the globals of fetch, as under jsdom, it can be loaded, and request works', async (t) => {
  const { url } = await serve(t, DONE);
  const program = `
    for (const name of ['fetch', 'Response', 'Request', 'Headers', 'ReadableStream', 'FormData']) delete globalThis[name];
    const { createClient } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const client = createClient({ headers: { 'x-a': '1' } });
    client.request(process.env.URL_, { method: 'POST', body: 'x', headers: { 'x-b': '2' } }).then(async ({ body }) => {
      console.log(await body.text());
      await client(process.env.URL_).catch(({ message }) => console.log(message));
    });
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { env: { ...process.env, URL_: url }, encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.match(stdout, /^done\nreknock: fetch needs a global Response/);
});
