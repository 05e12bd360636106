'use strict';
// Whole calls as data: tests/vectors/calls.json. tests/server/README.md says what the keys mean.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createClient } = require('../index.js');
const { serve } = require('./support/server.js');
const { vectors } = require('./support/vectors.js');

const { cases } = vectors('calls');

/** The documents of the vectors have the keys of the core's. */
function settings({ policy = {}, client = {}, retry_if: opinion }, { http2 = false }, { ca }) {
  const camel = Object.fromEntries(Object.entries(client).map(([key, value]) => [key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()), value]));
  return {
    policy: policy === false ? false : { backoff: 'none', ...policy },
    proxy: null,
    http2: http2 ? 'only' : 'none',
    ...camel,
    ...(ca && { caBundle: ca }),
    ...(opinion !== undefined && { retryIf: () => ({ stop: 'stop', none: undefined, true: true })[opinion] }),
  };
}

function* pieces(whole) {
  for (let at = 0; at < whole.length; at += 10000) yield whole.subarray(at, at + 10000);
}

function request({ method = 'GET', headers = [], body }) {
  const whole = body && Buffer.from(Array.from({ length: body.size }, (_, at) => (at % 65536) % 251));
  return { method, headers, ...(body && (body.stream === 'once' ? { body: pieces(whole), duplex: 'half' } : { body: whole })) };
}

/** What identifies an attempt. */
function brief({ status = null, error = null, evidence = 'unknown', hop = 0, hint_ms: hint = null, hintMs = hint }) {
  return { status, error, evidence, hop, hint: hintMs === null ? null : Math.round(hintMs * 1000) / 1000 };
}

/** An event in one word for each thing that is the same every time. */
function told({ kind, attempt, number = attempt?.number, status, reason, target, stopReason, failed }) {
  const outcome = kind === 'attempt_end' ? attempt.error ?? attempt.status : reason;
  return [kind, number, kind === 'interim' && status, outcome, kind === 'redirect' && target, stopReason, failed && 'failed'].filter(Boolean).join(' ');
}

function checkTold(expect, events, url) {
  if (!expect.events) return;
  assert.deepEqual(events.map(told), expect.events.map((event) => event.replace('{url}', url)));
  const [before, after] = expect.text.replace('{url}', url).split('{...}');
  const { text } = events.at(-1);
  assert.ok(text.startsWith(before) && text.endsWith(after), text);
}

async function check(expect, outcome) {
  const failed = outcome instanceof Error;
  const seen = [failed ? outcome.status ?? undefined : outcome.statusCode, failed ? outcome.kind : undefined, outcome.stopReason];
  assert.deepEqual(seen, [expect.status, expect.error, expect.stop_reason], failed ? outcome.message : '');
  if (expect.body !== undefined) assert.equal(await outcome.body.text(), expect.body);
  assert.deepEqual(outcome.attempts.map(brief), expect.attempts.map(brief));
  outcome.attempts.forEach((attempt, at) => {
    const { reused, version, interim, wait_ms: wait } = expect.attempts[at];
    if (interim !== undefined) assert.equal(attempt.interim, interim);
    if (reused !== undefined) assert.equal(attempt.reused, reused);
    if (version !== undefined) assert.equal(`HTTP/${attempt.httpVersion}`, version);
    if (attempt.status === null) assert.equal(attempt.firstByteMs, null);
    else assert.ok(attempt.firstByteMs >= 0 && attempt.firstByteMs <= attempt.durationMs, `first byte after ${attempt.firstByteMs} ms`);
    const [least, most] = Array.isArray(wait) ? wait : [wait, wait];
    if (wait !== undefined) assert.ok(least <= attempt.waitMs && attempt.waitMs <= most, `waits ${attempt.waitMs} ms`);
  });
}

async function arrived(given, script) {
  const { sends } = given;
  let log = await script.until((arrivals) => arrivals.length >= sends);
  assert.equal(log.length, sends);
  for (const [at, { headers = {}, ...wanted }] of (given.arrivals ?? []).entries()) {
    if ('body_size' in wanted) log = await script.until((arrivals) => arrivals[at].body_complete);
    const fields = Object.fromEntries(log[at].headers.map(([name, value]) => [name.toLowerCase(), value]).reverse());
    for (const [name, value] of Object.entries(headers)) assert.equal(fields[name] ?? null, value);
    for (const [key, value] of Object.entries(wanted)) assert.equal(log[at][key], value, key);
  }
}

test('no case is lost', () => assert.equal(cases.length, 157));

for (const given of cases) {
  test(`call: ${given.name}`, async (t) => {
    const { script: outcomes, ...document } = Array.isArray(given.server) ? { script: given.server } : given.server;
    const script = await serve(t, ...outcomes, document);
    const client = createClient(settings(given, document, script));
    const asked = given.request ?? {};
    for (const expect of [given.expect].flat()) {
      const events = [];
      const onEvent = expect.events && ((event) => void events.push(event));
      const outcome = await client.request(script.url + (asked.path ?? '/'), { ...request(asked), onEvent }).catch((error) => error);
      await check(expect, outcome);
      checkTold(expect, events, `${script.url.replace(/\/$/, '')}/`);
    }
    await arrived(given, script);
  });
}
