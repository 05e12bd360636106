'use strict';
// The service in examples/service, as somebody runs it: scraped, with its policies edited under it.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { test } = require('node:test');

const EXAMPLE = path.join(__dirname, '..', 'examples', 'service');

/** An upstream that refuses each path twice, then answers, and so on. */
async function upstream(t) {
  const sends = new Map();
  const server = createServer(({ url }, response) => {
    const times = (sends.get(url) ?? 0) + 1;
    sends.set(url, times);
    response.writeHead(times % 3 === 0 ? 200 : 503).end(`${times}`);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => (server.close(), server.closeAllConnections()));
  return server.address().port;
}

/** The service: where it is, and what it logs. */
async function started(t, environment) {
  const child = spawn(process.execPath, [path.join(EXAMPLE, 'server.mjs')], { env: { ...process.env, PORT: '0', ...environment }, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = [];
  const ended = once(child, 'exit');
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  t.after(async () => {
    child.kill();
    assert.deepEqual((await ended)[0], 0);
  });
  /** The lines that fulfil a condition, once there are so many: what is written comes when it comes. */
  const logged = async (count, condition) => {
    while (lines.filter(condition).length < count) {
      await Promise.race([once(reader, 'line'), ended.then(([code]) => Promise.reject(new Error(`the service ended with ${code}`)))]);
    }
    return lines.filter(condition);
  };
  const [{ msg }] = await logged(1, (line) => line.msg.startsWith('Server listening'));
  return { url: /http:\S+/.exec(msg)[0], logged };
}

/** The samples of a metric in Prometheus's text: `[[labels, value], ...]`. */
function samples(text, name) {
  const found = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return found.map((line) => {
    const [, labels, value] = /\{(.*)\} (\S+)/.exec(line);
    return [Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])), Number(value)];
  });
}

test('the service shows retries by route, waits and its budget, spans that say how often, and follows its policies', { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-service-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const policies = path.join(folder, 'policies.yaml');
  copyFileSync(path.join(EXAMPLE, 'policies.yaml'), policies);
  const port = await upstream(t);
  const { url, logged } = await started(t, { UPSTREAM: `http://127.0.0.1:${port}`, POLICIES: policies });
  const get = async (route) => {
    const response = await fetch(url + route);
    return { status: response.status, attempts: Number(response.headers.get('x-attempts')), reason: response.headers.get('x-stop-reason'), text: await response.text() };
  };

  assert.deepEqual(await get('/orders/7'), { status: 200, attempts: 3, reason: 'completed', text: '3' });
  assert.deepEqual(await get('/reports'), { status: 503, attempts: 2, reason: 'retries_exhausted', text: '2' });

  const { text } = await get('/metrics');
  const to = (route) => ({ server_address: '127.0.0.1', server_port: `${port}`, url_template: route });
  const of = (name) => samples(text, name).map(([{ otel_scope_name, otel_scope_version, otel_scope_schema_url, ...labels }, value]) => [labels, value]);
  assert.deepEqual(of('reknock_retries_total'), [[{ ...to('/orders/{id}'), reason: '503' }, 2], [{ ...to('/reports'), reason: '503' }, 1]]);
  assert.deepEqual(of('reknock_wait_duration_count'), [[to('/orders/{id}'), 2], [to('/reports'), 1]]);
  const balances = of('reknock_budget_balance');
  assert.deepEqual(balances.map(([labels]) => labels), [to('/orders/{id}'), to('/reports')]);
  for (const [, balance] of balances) assert.ok(balance > 0 && balance < 100, `${balance}`);
  const durations = of('http_client_request_duration_count').map(([{ url_template, http_response_status_code }, count]) => [url_template, http_response_status_code, count]);
  assert.deepEqual(durations, [['/orders/{id}', '503', 2], ['/orders/{id}', '200', 1], ['/reports', '503', 2]]);

  const spans = await logged(5, ({ msg }) => msg === 'span');
  assert.deepEqual(spans.map(({ span, attributes, failed }) => [span, attributes['http.request.resend_count'], failed]), [
    ['GET /orders/{id}', undefined, true], ['GET /orders/{id}', 1, true], ['GET /orders/{id}', 2, false], ['GET /reports', undefined, true], ['GET /reports', 1, true],
  ]);
  const warned = await logged(1, ({ level }) => level === 40);
  assert.deepEqual(warned.map(({ kind, call, stopReason }) => [kind, call.name, stopReason]), [['end', '/reports', 'retries_exhausted']]);

  // The file is edited: soon calls go by it, without a restart.
  writeFileSync(`${policies}.new`, readFileSync(policies, 'utf8').replace('max_retries: 3', 'max_retries: 0'));
  renameSync(`${policies}.new`, policies);
  const until = Date.now() + 20_000;
  let last;
  do last = await get(`/orders/${Date.now()}`);
  while (last.attempts !== 1 && Date.now() < until);
  assert.deepEqual([last.status, last.attempts, last.reason], [503, 1, 'retries_exhausted']);
});
