'use strict';
// `npx reknock`, as a process of its own.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { existsSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { Policy } = require('../index.js');
const { commandHelp } = require('../lib/native.js');
const { ECHO, NO, serve, status } = require('./support/server.js');

const PROGRAM = path.join(__dirname, '..', 'bin', 'reknock.js');

/** Runs it; its exit status and what it wrote. */
function reknock(...args) {
  return new Promise((resolve) => {
    const options = { encoding: 'buffer', timeout: 20_000 };
    execFile(process.execPath, [PROGRAM, ...args], options, (error, stdout, stderr) => {
      resolve({ status: error ? error.code : 0, bytes: stdout, stdout: `${stdout}`, stderr: `${stderr}` });
    });
  });
}

/** Runs it by a shell. */
function bash(line) {
  return new Promise((resolve) => {
    execFile('bash', ['-c', line], { timeout: 20_000 }, (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stderr }));
  });
}

function folder(t, files) {
  const made = mkdtempSync(path.join(tmpdir(), 'reknock-'));
  t.after(() => rmSync(made, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(made, name), text);
  return (name) => path.join(made, name);
}

test('the body goes to stdout, the timeline to stderr', async (t) => {
  const { url } = await serve(t, NO, status(200, 'done'));
  const ran = await reknock('get', url);
  assert.deepEqual([ran.status, ran.stdout], [0, 'done']);
  assert.match(ran.stderr, /^200 OK\n.*#1 503.*= completed\n$/s);
});

test('a request with everything', async (t) => {
  const file = folder(t, { 'policy.yaml': 'methods: any\nbackoff: 1ms\n', body: 'of the file' });
  const { url } = await serve(t, NO, ECHO);
  const ran = await reknock('get', url, '-X', 'PATCH', '-H', 'x-a: 1:2', '-d', `@${file('body')}`, '--policy', file('policy.yaml'), '--json');
  const told = JSON.parse(ran.stdout);
  const echo = JSON.parse(told.body);
  assert.deepEqual([told.status, told.stop_reason, told.error, told.attempts.map((attempt) => attempt.status)], [200, 'completed', null, [503, 200]]);
  assert.deepEqual(Object.keys(told.attempts[0]), ['number', 'hop', 'start', 'duration', 'status', 'error', 'evidence', 'hint', 'wait']);
  assert.equal(told.attempts[0].wait, 0.001);
  assert.deepEqual([echo.method, echo.body, Object.fromEntries(echo.headers)['x-a']], ['PATCH', 'of the file', '1:2']);
});

test('what goes wrong', async (t) => {
  const file = folder(t, { 'policy.json': '{"max_retrys": 1}' });
  assert.equal((await reknock('get', (await serve(t, status(404))).url)).status, 1);
  const once = await reknock('get', (await serve(t, { do: 'reset' })).url, '-d', 'once');
  assert.equal(once.status, 2);
  assert.match(once.stderr, /^reset: .*not_idempotent/s);
  for (const [args, said] of [
    [['get', 'http://127.0.0.1:1/', '--policy', file('policy.json')], /did you mean max_retries\?\n$/],
    [['get', 'http://127.0.0.1:1/', '-d', `@${file('nowhere')}`], /nowhere/],
    [['get', 'http://127.0.0.1:1/', '--nonsense'], /^usage: .*--nonsense/s],
    [['get'], /get takes one argument\n$/],
    [[], /a command is missing\n$/],
    [['put', 'x'], /unknown command put\n$/],
  ]) {
    const ran = await reknock(...args);
    assert.deepEqual([ran.status, ran.stdout], [2, ''], `${args}`);
    assert.match(ran.stderr, said);
    assert.doesNotMatch(ran.stderr, /^ +at /m);
  }
});

test("the help is the core's", async () => {
  for (const option of ['--help', '-h']) {
    const ran = await reknock(option);
    assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, commandHelp('reknock'), '']);
  }
});

test('a body that is no text', async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body_base64: 'AP8=' });
  assert.deepEqual([...(await reknock('get', url)).bytes], [0, 0xff]);
});

const LINKERD = `
routers:
- protocol: http
  label: out
  service: {retries: {budget: {percentCanRetry: 0.5}, backoff: {kind: constant, ms: 10}}}
- protocol: http
  label: in
  service: {totalTimeoutMs: 600}
`;

test('policies explained', async (t) => {
  const file = folder(t, { 'linkerd.yaml': LINKERD, 'policy.yaml': 'max_retries: 5' });
  const [out, into] = Policy.loadAll(file('linkerd.yaml')).map((loaded) => loaded.explain());
  assert.match(out, /^# linkerd out\n.*budget: .*notes:/s);
  const all = await reknock('explain', file('linkerd.yaml'));
  assert.deepEqual([all.status, all.stdout, all.stderr], [0, `${out}\n${into}`, '']);
  assert.equal((await reknock('explain', file('linkerd.yaml'), '--policy', 'in', '--dialect', 'linkerd')).stdout, into);
  const none = await reknock('explain', file('linkerd.yaml'), '--policy', 'by');
  assert.deepEqual([none.status, none.stderr], [2, 'config: policy: must be one of out, in, got "by"\n']);
  const other = await reknock('explain', file('linkerd.yaml'), '--dialect', 'ktor');
  assert.equal(other.status, 2);
  assert.match(other.stderr, /^config: .*ktor: no policy found/);
  assert.equal((await reknock('explain', file('policy.yaml'))).stdout, new Policy({ maxRetries: 5 }).explain());
});

test('a stdout that takes nothing', { skip: !existsSync('/dev/full') && 'no device that is full' }, async (t) => {
  const { url } = await serve(t, { do: 'status', status: 200, body: 'x'.repeat(100_000) });
  for (const line of ['lint default', '--help', '--version', `get ${url}`, `get ${url} --json`]) {
    for (const [to, status, said] of [['>/dev/full', 2, /^stdout: .*ENOSPC.*\n$/m], ['| true', 141, /^/]]) {
      const ran = await bash(`set -o pipefail; '${process.execPath}' '${PROGRAM}' ${line} ${to}`);
      // A pipe takes what little there is before its reader is gone.
      assert.ok(ran.status === status || (status === 141 && ran.status === 0), `${line} ${to}: ${ran.status} ${ran.stderr}`);
      assert.match(ran.stderr, said);
      assert.doesNotMatch(ran.stderr, /^ +at /m);
    }
    assert.equal((await bash(`'${process.execPath}' '${PROGRAM}' ${line} >/dev/null 2>/dev/full`)).status, 0);
  }
});
