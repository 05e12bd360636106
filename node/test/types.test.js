'use strict';
// The types name what there is, and all of it.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const ts = require('typescript');
const reknock = require('../index.js');
const { FAST, serve, DONE, NO } = require('./support/server.js');
const { ROOT } = require('./support/vectors.js');

const file = path.join(__dirname, '..', 'index.d.ts');
const OPTIONS = { strict: true, noEmit: true, module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, types: ['node'] };
/** The JavaScript that the documents show, as files of TypeScript's beside the type tests. */
const shown = new Map();
for (const document of ['README.md', 'node/README.md']) {
  const blocks = readFileSync(path.join(ROOT, document), 'utf8').split('```js\n').slice(1);
  blocks.forEach((block, i) => shown.set(path.join(__dirname, 'types', `${document.replace('/', '-')}-${i}.mts`), block.split('```')[0]));
}
const host = ts.createCompilerHost(OPTIONS);
const { fileExists, getSourceFile } = host;
host.fileExists = (name) => shown.has(name) || fileExists(name);
host.getSourceFile = (name, ...rest) => (shown.has(name) ? ts.createSourceFile(name, shown.get(name), ...rest) : getSourceFile(name, ...rest));
const program = ts.createProgram([file, ...shown.keys()], OPTIONS, host);
const checker = program.getTypeChecker();
const declared = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file))).map((symbol) => [symbol.name, symbol]));

const WELL_KNOWN = new Map([[Symbol.asyncDispose, '[asyncDispose]'], [Symbol.asyncIterator, '[asyncIterator]']]);

/** The members of ours: not those of the platform that it extends. */
function members(type) {
  const own = type.getProperties().filter((symbol) => symbol.declarations?.some((node) => node.getSourceFile().fileName.startsWith(path.dirname(file)) && !node.getSourceFile().fileName.includes('node_modules')));
  return own.map(({ name }) => name.replace(/^__@(\w+)@\d+$/, '[$1]')).sort();
}

function described(name) {
  return members(checker.getDeclaredTypeOfSymbol(declared.get(name)));
}

/** What an object has, by its classes up to those of the platform. */
function found(object) {
  const names = new Set();
  const natives = [Error, ...[Object, Function, Error, Response].map((native) => native.prototype)];
  for (let place = object; place && !natives.includes(place); place = Object.getPrototypeOf(place)) {
    for (const key of Reflect.ownKeys(place)) {
      if (typeof key === 'string') names.add(key);
      else if (WELL_KNOWN.has(key)) names.add(WELL_KNOWN.get(key));
    }
  }
  for (const hidden of ['constructor', 'prototype']) names.delete(hidden);
  if (typeof object === 'function') for (const hidden of ['name', 'length']) names.delete(hidden);
  return [...names].sort();
}

test('what the documents show is of these types', () => {
  assert.ok(shown.size >= 5);
  const found = [...shown.keys()].flatMap((name) => ts.getPreEmitDiagnostics(program, program.getSourceFile(name)));
  assert.equal(ts.formatDiagnostics(found, { ...host, getCurrentDirectory: () => __dirname, getNewLine: () => '\n' }), '');
});

test('what is exported', () => {
  const values = [...declared.values()].filter(({ flags }) => flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable | ts.SymbolFlags.Class));
  assert.deepEqual(values.map(({ name }) => name).sort(), Object.keys(reknock).sort());
});

for (const [name, value] of Object.entries(reknock)) {
  if (typeof value !== 'function' || !/^class /.test(Function.prototype.toString.call(value))) continue;
  test(`the members of ${name}`, () => {
    const symbol = declared.get(name);
    const statics = checker.getTypeOfSymbolAtLocation(symbol, symbol.valueDeclaration);
    const internal = ['Policy', 'PolicySet', 'Budgets', 'Retry'].includes(name) ? ['native'] : [];
    assert.deepEqual(found(value).filter((key) => !internal.includes(key)), members(statics).filter((key) => key !== 'prototype'));
    const fields = name === 'ReknockError' ? ['attempts', 'callId', 'callName', 'code', 'kind', 'method', 'response', 'status', 'stopReason', 'url'] : [];
    assert.deepEqual([...found(value.prototype), ...fields].filter((key) => key !== 'name').sort(), described(name));
  });
}

test('the members of clients, results and what callbacks are given', async (t) => {
  const { url } = await serve(t, NO, DONE, NO, { do: 'redirect', status: 302, location: '$url/x' }, DONE);
  const client = reknock.createClient({ policy: { ...FAST, budget: {} } });
  const given = {};
  const response = await client(url, {
    retryIf: (attempt) => void (given.Attempt = attempt),
    beforeRetry: (_, request) => void (given.RetryRequest = request),
  });
  given.RetryResponse = response;
  given.AttemptRecord = response.attempts[0];
  given.Client = client;
  given.BudgetReading = client.budget(url);
  const events = [];
  const onEvent = (event) => void events.push(event);
  given.LeanResponse = await client.request(url, { onEvent });
  given.LeanBody = given.LeanResponse.body;
  const poor = { ...FAST, budget: { ratio: 0, minPerSecond: 0 } };
  await client.request((await serve(t, { do: 'status', status: 503, interim: [103] })).url, { policy: poor, onEvent });
  [given.LoadedPolicy] = reknock.Policy.readAll('max_retries: 1');
  [given.Verdict] = [((retry) => (retry.attempt(), retry.classify({ status: 503, headers: { 'retry-after': '1' } })))(new reknock.Retry({}))];
  for (const [name, object] of Object.entries(given)) {
    const overrides = name === 'RetryResponse' ? found(object).filter((key) => key in Response.prototype && key !== 'clone') : [];
    // Of a purse that processes share.
    const absent = name === 'BudgetReading' ? ['path', 'why'] : [];
    assert.deepEqual(found(object).filter((key) => !overrides.includes(key) && key !== 'bytes'), described(name).filter((key) => key !== 'bytes' && !absent.includes(key)), name);
  }
  const kinds = checker.getDeclaredTypeOfSymbol(declared.get('Event')).types.map((type) => members(type));
  const keys = new Set(events.map((event) => Object.keys(event).sort().join()));
  assert.deepEqual([...keys].sort(), [...new Set(kinds.map((kind) => kind.join()))].sort());
});
