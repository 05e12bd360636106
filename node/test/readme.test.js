'use strict';

const assert = require('node:assert/strict');
const { readFileSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { NO, serve, status } = require('./support/server.js');
const { ROOT } = require('./support/vectors.js');

const ENTRY = pathToFileURL(path.join(__dirname, '..', 'index.mjs')).href;

test('the JavaScript of the README does what it shows', async (t) => {
  const server = await serve(t, NO, status(200), status(409), status(201));
  const block = readFileSync(path.join(ROOT, 'README.md'), 'utf8').split('```js\n')[1].split('```')[0];
  assert.ok(block.includes('http://127.0.0.1:8080'));
  const source = block.replace("'reknock'", `'${ENTRY}'`).replace('http://127.0.0.1:8080', server.url.replace(/\/$/, ''));
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'readme.mjs'), source);
  const said = t.mock.method(console, 'log', () => {});
  await import(pathToFileURL(path.join(folder, 'readme.mjs')).href);
  const lines = said.mock.calls.map((call) => call.arguments);
  said.mock.restore();
  assert.deepEqual(lines.map((line) => line.slice(0, 2)), [[200, 2], [201, 'completed']]);
  const arrived = (await server.log()).map(({ method, target }) => `${method} ${target}`);
  assert.deepEqual(arrived, ['GET /orders?page=2', 'GET /orders?page=2', 'PUT /orders/7', 'PUT /orders/7']);
});

test('every piece of JavaScript in node/README.md runs', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const blocks = readFileSync(path.join(ROOT, 'node', 'README.md'), 'utf8').split('```js\n').slice(1).map((rest) => rest.split('```')[0]);
  assert.equal(blocks.length, 6);
  const said = t.mock.method(console, 'log', () => {});
  const written = t.mock.method(process.stdout, 'write', () => true);
  for (const [index, block] of blocks.entries()) {
    const server = await serve(t, NO, status(200, '{}'));
    const file = path.join(folder, `${index}.mjs`);
    writeFileSync(file, block.replace("'reknock'", `'${ENTRY}'`).replaceAll('http://127.0.0.1:8080', server.url));
    await import(pathToFileURL(file).href);
  }
  written.mock.restore();
  said.mock.restore();
  const lines = said.mock.calls.map((call) => call.arguments);
  assert.deepEqual(lines[0], [{}, 2, 'completed']);
  assert.match(lines[1][0], /#2 200/);
  assert.deepEqual(lines[2], ['connect', 2]);
  assert.match(lines[3][0], /^retry: .*#1 503/);
  assert.deepEqual(lines.at(-1), [200, 'completed']);
});
