'use strict';
// One budget for all processes of a host.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { mkdtempSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');
const { Budgets, Policy, Retry, createClient, retryFetch } = require('../index.js');
const { serve, status } = require('./support/server.js');

// A reserve of 60 retries and nothing else, for as long as a test runs.
const policy = { maxRetries: 3, backoff: '0s', budget: { ratio: 0, minPerSecond: 1, ttl: '60s', share: 'host' } };

/** Where budgets are, which is not there yet. */
function place(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'reknock-share-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return path.join(folder, 'budgets');
}

const CLUSTER = `
  const cluster = require('node:cluster');
  const { createClient } = require(${JSON.stringify(path.join(__dirname, '..', 'index.js'))});
  const calls = async () => {
    const client = createClient({ policy: ${JSON.stringify(policy)}, shareRequired: true });
    for (let i = 0; i < 30; i++) if ((await client(process.env.URL_)).status !== 503) process.exit(1);
    process.exit(0);
  };
  if (!cluster.isPrimary) calls();
  else {
    for (let i = 0; i < 4; i++) cluster.fork();
    cluster.on('exit', (worker, code) => { if (code) process.exit(code); });
  }
`;

test('the workers of a cluster send what one purse allows', async (t) => {
  const [script, budgets] = [await serve(t, status(503)), place(t)];
  // The workers run the program again, so it is a file.
  const program = path.join(budgets, '..', 'cluster.js');
  writeFileSync(program, CLUSTER);
  await promisify(execFile)(process.execPath, [program], { env: { ...process.env, URL_: script.url, REKNOCK_BUDGET_DIR: budgets }, timeout: 60_000 });
  assert.equal((await script.log()).length, 4 * 30 + 60);

  const client = createClient({ policy, budgetDir: budgets });
  await client(script.url);
  const { refusals, deposits, ...reading } = client.budget(script.url);
  const own = { ownDeposits: 0, ownWithdrawals: 0, ownRefusals: 1, resets: 0 };
  assert.deepEqual(reading, { balance: 0, withdrawals: 60, share: 'host', path: path.join(budgets, readdirSync(budgets)[0]), ...own });
  assert.ok(refusals > 100 && deposits === 0);
});

test('what cannot be shared says why', async (t) => {
  const [script, nowhere] = [await serve(t, status(200)), path.join(place(t), 'not', 'there')];
  const why = `${nowhere}: cannot be made: No such file or directory (os error 2)`;
  assert.throws(() => createClient({ policy, budgetDir: nowhere, shareRequired: true }), { message: `share_required: the budget cannot be the host's: ${why}` });
  const client = createClient({ policy, budgetDir: nowhere });
  await client(script.url);
  const { share, why: told } = client.budget(script.url);
  assert.deepEqual([share, told], ['process', why]);
});

test('what cannot be shared is told once', async (t) => {
  const [script, nowhere, told] = [await serve(t, status(200)), path.join(place(t), 'not', 'there'), []];
  const onEvent = (event) => event.kind === 'notice' && told.push(event);
  const client = createClient({ policy, budgetDir: nowhere, onEvent });
  const adapted = retryFetch(fetch, { policy, budgets: new Budgets({ budgetDir: nowhere }), onEvent });
  for (const call of [client, client, adapted, adapted]) await (await call(script.url)).text();
  assert.deepEqual(told.map(({ reason, level, call }) => [reason, level, call.method]), [1, 2].map(() => ['budget_unshared', 'warning', 'GET']));
  for (const { text } of told) assert.match(text, /is this process's alone \(share: host\): .*cannot be made: No such file/);
});

test('budgets without a client are shared likewise', (t) => {
  const [own, budgetDir] = [new Policy(policy), place(t)];
  for (const balance of [59, 58]) {
    const budgets = new Budgets({ budgetDir });
    const retry = new Retry(own, { origin: 'http://up', budgets });
    retry.attempt();
    retry.classify({ status: 503 });
    assert.equal(retry.decide().stopReason, null);
    const reading = budgets.reading(own, 'http://up');
    assert.deepEqual([reading.share, reading.balance, reading.ownWithdrawals], ['host', balance, 1]);
  }
  const nowhere = new Budgets({ budgetDir: path.join(budgetDir, 'not', 'there'), shareRequired: true });
  assert.throws(() => new Retry(own, { origin: 'http://up', budgets: nowhere }), { message: /^share_required: the budget cannot be the host's: / });
  assert.throws(() => new Budgets({ budgetDir: 'here' }), { message: 'budgetDir: must be an absolute path, got "here"' });
});
