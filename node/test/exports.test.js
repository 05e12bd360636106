'use strict';

const assert = require('node:assert/strict');
const { readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

test('every exported function of the addon catches panics', () => {
  const sources = path.join(__dirname, '..', '..', 'bindings', 'node', 'src');
  let functions = 0;
  for (const file of readdirSync(sources)) {
    const text = readFileSync(path.join(sources, file), 'utf8');
    // An attribute, with what it is on: structs and impl blocks have no body that could panic.
    for (const [, options, item] of text.matchAll(/#\[napi(?:\(([^)]*)\))?\](?:\s*#\[[^\]]*\])*\s*((?:pub )?\w+)/g)) {
      if (!/fn$/.test(item)) continue;
      functions += 1;
      assert.match(options ?? '', /\bcatch_unwind\b/, `${file}: #[napi(${options ?? ''})]`);
    }
  }
  assert.ok(functions > 30, `${functions} found`);
});
