'use strict';
// The shared vectors of the decision machine: the same decisions, waits, hints and balances as on every other surface.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Budgets, Policy, Retry, createClient } = require('../index.js');
const { vectors } = require('./support/vectors.js');

/** 2026-11-22T12:00:00Z */
const NOW = 1_795_348_800_000;

/** Steps of several calls that share budgets. */
class Stage {
  #policy;
  #budgets = new Budgets();
  #calls = new Map();

  constructor(policy) {
    this.#policy = new Policy(policy);
  }

  take(step) {
    const { call: name = 'a' } = step;
    if (!this.#calls.has(name)) this.#calls.set(name, this.#begin(step));
    const { retry, replayable } = this.#calls.get(name);
    if (step.redirect) {
      const { method = 'GET', origin = 'http://a', key = false } = step.redirect;
      this.#calls.get(name).origin = origin;
      retry.redirect({ method, origin, hasIdempotencyKey: key }, step.at);
    }
    const { origin } = this.#calls.get(name);
    if (step.end) {
      if (step.sent) retry.attempt(step.at);
      this.#calls.delete(name);
      if (step.end === 'finish') retry.finish(step.at);
      else retry.abandon();
    } else if (!step.redirect) {
      retry.attempt(step.at);
      const { status, headers, failure: error, evidence, local } = step.outcome;
      retry.classify(error ? { error, evidence, local } : { status, headers }, NOW);
      const { retry: yes, wait: waitMs, backoff: backoffMs } = step.answer ?? {};
      const decision = retry.decide({ retry: yes, waitMs, backoffMs, replayable }, step.at);
      assert.deepEqual(decision, typeof step.then === 'number' ? { waitMs: step.then, stopReason: null } : { waitMs: null, stopReason: step.then });
    }
    if ('balance' in step) assert.equal(this.#balance(origin, step.at), step.balance);
  }

  #begin({ at, begin = at, method, origin = 'http://a', key, asked, replayable = true }) {
    const options = { method, origin, budgets: this.#budgets, hasIdempotencyKey: key === true, asked: asked === true, now: begin };
    return { retry: new Retry(this.#policy, options), origin, replayable };
  }

  /** A budget that was found but not used is as good as none. */
  #balance(origin, at) {
    return this.#policy.toJSON().max_retries > 0 ? (this.#budgets.reading(this.#policy, origin, at)?.balance ?? null) : null;
  }
}

const { cases } = vectors('decide');
for (const { name, policy, steps } of cases) {
  test(`decide: ${name}`, () => {
    const stage = new Stage(policy);
    for (const step of steps) stage.take(step);
  });
}

const hints = vectors('retry_after').cases;
for (const { headers, config, hint_ms: wanted } of hints) {
  test(`hints: ${JSON.stringify(headers)}`, () => {
    const retry = new Retry({ statuses: [503], retryAfter: { spread: 0, max: 'none', ...config } });
    retry.attempt();
    const { hintMs } = retry.classify({ status: 503, headers }, NOW);
    if (typeof wanted === 'string') assert.ok(hintMs > 2 ** 43, `${hintMs}`);
    else assert.equal(hintMs, wanted);
  });
}

// Stepped by calls: one that succeeds deposits, one that is retried withdraws.
for (const { name, ttl_s: ttl, min_per_second: minPerSecond, ratio, steps } of vectors('budget').cases) {
  test(`budget: ${name}`, () => {
    const budget = { ratio, minPerSecond, ttl: `${ttl}s`, depositOn: 'success' };
    const policy = new Policy({ timeout: 'none', backoff: { kind: 'constant', delay: '1ms' }, budget });
    const budgets = new Budgets();
    for (const { t, deposit = 0, withdraw = 0, granted = 0, balance } of steps) {
      const now = t * 1000;
      const call = (status) => called(policy, { budgets, origin: 'http://a', now }, status);
      for (let n = 0; n < deposit; n += 1) assert.equal(call(200), 'completed');
      const reasons = Array.from({ length: withdraw }, () => call(503));
      assert.equal(reasons.filter((reason) => reason === null).length, granted);
      if (balance !== undefined) assert.equal(reading(policy, budgets, now).balance, balance);
    }
  });
}

/** Makes a call whose first attempt is answered so, and a retry if it may; why there was none. */
function called(policy, options, status) {
  const retry = new Retry(policy, options);
  retry.attempt(options.now);
  retry.classify({ status }, NOW);
  const { stopReason } = retry.decide({}, options.now);
  if (stopReason === null) retry.attempt(options.now);
  retry.finish(options.now);
  return stopReason;
}

/** A budget is made by the first call; one that is given up at once leaves no trace. */
function reading(policy, budgets, now) {
  new Retry(policy, { budgets, origin: 'http://a', now }).abandon();
  return budgets.reading(policy, 'http://a', now);
}

// Time stands still: each call deposits and asks for one retry.
const { ratio_list: list, concurrency, invalid: noBudgets, cases: budgetCases } = vectors('budget');
for (const ratio of list.ratios) {
  test(`budget: a ratio of ${ratio} is exact`, () => {
    const budget = { ratio, minPerSecond: list.min_per_second, ttl: `${list.ttl_s}s`, depositOn: 'call' };
    const policy = new Policy({ timeout: 'none', budget });
    const options = { budgets: new Budgets(), origin: 'http://a', now: 0 };
    const granted = Array.from({ length: 10_000 }, () => called(policy, options, 503)).filter((reason) => reason === null).length;
    assert.equal(granted, Math.round(ratio * 10_000));
  });
}

// The send that fails is in flight itself: there is never none.
for (const [percent, min, inFlight, held, granted] of concurrency.cases) {
  test(`budget: ${percent} % of ${inFlight} in flight but at least ${min}, ${held} held`, () => {
    const policy = new Policy({ timeout: 'none', budget: { kind: 'concurrency', percent, min } });
    const budgets = new Budgets();
    const calls = Array.from({ length: held + Math.max(inFlight, 1) }, () => new Retry(policy, { budgets, origin: 'http://a', now: 0 }));
    for (const call of calls) call.attempt(0);
    const fail = (call) => {
      call.classify({ status: 503 }, NOW);
      return call.decide({}, 0).stopReason;
    };
    assert.deepEqual(calls.slice(0, held).map(fail), Array(held).fill(null));
    assert.equal(fail(calls[held]), granted ? null : 'budget_exhausted');
    for (const call of calls) call.abandon();
  });
}

// The draws are those of the seeds that the vectors name. With jitter each wait comes of its own draw alone, and has a call of its own.
const { cases: backoffs, seeds: jittered, invalid: noBackoffs } = vectors('backoff');
let waited = 0;
for (const { name, backoff, waits, u, seed = 0, from_retry: first = 1 } of backoffs) {
  test(`backoff: ${name}`, () => {
    const maxRetries = Math.min(first + waits.length - 1, 1000);
    const policy = new Policy({ backoff, maxRetries, timeout: 'none', budget: 'none' });
    const seeds = (backoff.jitter ?? 'none') !== 'none' && jittered[u];
    const whole = seeds || planned(policy, seed, maxRetries);
    for (let n = first; n <= maxRetries; n += 1) {
      const waitMs = (seeds ? planned(policy, seeds[n - 1], n) : whole)[n - 1];
      const wanted = waits[n - first];
      assert.ok(Math.abs(waitMs - wanted) <= Math.max(0.5, wanted * 1e-6), `retry ${n} waits ${waitMs} ms`);
      waited += 1;
    }
  });
}

/** The waits before the first retries of a call with this seed. */
function planned(policy, seed, retries) {
  const retry = new Retry(policy, { seed: BigInt(seed), now: 0 });
  const waits = Array.from({ length: retries }, () => {
    retry.attempt(0);
    retry.classify({ status: 503 }, NOW);
    return retry.decide({}, 0).waitMs;
  });
  retry.abandon();
  return waits;
}

test('a seed is a whole number of 64 bits; 0 is none', () => {
  const waits = (seed) => {
    const retry = new Retry({}, { seed, now: 0 });
    retry.attempt(0);
    return retry.classify({ status: 503 }, NOW).backoffMs;
  };
  assert.equal(waits(7), waits(7n));
  assert.notEqual(waits(2n ** 64n - 1n), waits(7));
  assert.notEqual(waits(0), waits(0));
  assert.equal(waits(2 ** 60), waits(2n ** 60n));
  for (const [seed, shown] of [[-1, '-1'], [1.5, '1.5'], [NaN, 'NaN'], [2n ** 64n, '18446744073709551616'], [-1n, '-1'], [2 ** 64, '1.8446744073709552e19'], ['5', '"5"'], [true, 'true'], [null, 'null'], [{}, 'a map']]) {
    const message = `seed: must be a whole number from 0 to 18446744073709551615, got ${shown}`;
    assert.throws(() => waits(seed), { name: 'ReknockError', kind: 'config', message });
  }
});

for (const backoff of noBackoffs) {
  test(`no backoff: ${JSON.stringify(backoff)}`, () => assert.throws(() => new Policy({ backoff }), { name: 'ReknockError', message: /^backoff/ }));
}

for (const { ttl_s: ttl, ratio, ...rest } of noBudgets) {
  test(`no budget: ${JSON.stringify({ ttl, ratio, ...rest })}`, () => {
    const budget = { ...rest, ...(ttl && { ttl: `${ttl}s` }), ...(ratio && { ratio: Number(ratio) }) };
    assert.throws(() => new Policy({ budget }), { name: 'ReknockError', message: /^budget\./ });
  });
}

/** How a step that is refused fails, by what is wrong about it: a step before its turn as Node's own do. */
const REFUSED = {
  order: { name: 'Error', code: 'ERR_INVALID_STATE' },
  value: { name: 'ReknockError', kind: 'config' },
  budget: { name: 'ReknockError', kind: 'config' },
};
const misuse = vectors('misuse').cases;
let refused = 0;
for (const { name, steps } of misuse) {
  test(`misuse: ${name}`, () => {
    const shared = new Budgets();
    let retry = new Retry({ backoff: '1ms' }, { now: 0 });
    const does = {
      begin: ({ policy, budgets, origin }) => void (retry = new Retry(policy, { budgets: budgets && shared, origin, now: 0 })),
      attempt: () => void retry.attempt(0),
      classify: ({ status, error, evidence }) => void retry.classify({ status, error, evidence }),
      decide: () => retry.decide({}, 0),
      redirect: ({ origin }) => retry.redirect({ method: 'GET', origin }, 0),
      finish: () => retry.finish(0),
      abandon: () => retry.abandon(),
    };
    for (const step of steps) {
      if (step.wrong) {
        const got = JSON.stringify(step.evidence === 'none' ? step.evidence : step.error);
        assert.throws(() => does[step.do](step), { ...REFUSED[step.wrong], message: step.message.replace('{got}', got) }, JSON.stringify(step));
        refused += 1;
      } else {
        const { then } = step;
        const wanted = then === undefined ? undefined : typeof then === 'number' ? { waitMs: then, stopReason: null } : { waitMs: null, stopReason: then };
        assert.deepEqual(does[step.do](step), wanted, JSON.stringify(step));
      }
    }
  });
}

test('header fields may be a function, which is called where they say something', () => {
  for (const [policy, status, hintMs, times] of [[{}, 200, null, 0], [{}, 404, null, 0], [{}, 503, 2000, 1], [{ statuses: [404] }, 404, 2000, 1]]) {
    const retry = new Retry(policy);
    retry.attempt();
    let asked = 0;
    const verdict = retry.classify({ status, headers: () => ((asked += 1), { 'retry-after': '2' }) });
    assert.deepEqual([verdict.hintMs, asked], [hintMs, times], `${status}`);
  }
  const retry = new Retry();
  retry.attempt();
  assert.throws(() => retry.classify({ status: 503, headers: () => 1 }), /headers: must be an object or pairs/);
  assert.ok(retry.classify({ status: 503 }).retry);
});

test('arguments that are none', () => {
  const retry = new Retry();
  retry.attempt();
  assert.throws(() => retry.classify({ error: '' }), { kind: 'config', message: /^error: must be one of config, .* got ""$/ });
  assert.throws(() => retry.classify({ status: 503.5 }), { kind: 'config', message: 'status: must be a whole number from 100 to 999, got 503.5' });
  retry.classify({ status: 503, error: null });
  assert.throws(() => retry.decide({ waitMs: -1 }), { kind: 'config', message: 'waitMs: must be a number of milliseconds from 0, got -1' });
  assert.throws(() => retry.decide({ backoffMs: '1s' }), { kind: 'config', message: 'backoffMs: must be a number of milliseconds from 0, got "1s"' });
  const noTime = (argument) => ({ name: 'ReknockError', message: `${argument}: must be a number of milliseconds, got NaN` });
  for (const step of [() => retry.decide({}, NaN), () => retry.attempt(NaN), () => retry.finish(NaN), () => new Retry({}, { now: NaN })]) assert.throws(step, noTime('now'));
  assert.throws(() => retry.redirect({ method: 'GET' }, NaN), noTime('now'));
  assert.throws(() => new Budgets().reading(new Policy(), 'http://a', NaN), noTime('now'));
  assert.throws(() => retry.classify({ status: 503 }, NaN), noTime('wall'));
  assert.equal(retry.decide({ waitMs: 7 }).waitMs, 7);
});

test('arguments of other types', () => {
  const wrong = (step, message) => assert.throws(step, { name: 'ReknockError', kind: 'config', message });
  const retry = new Retry();
  retry.attempt();
  for (const hop of [undefined, null, {}, { method: null }]) wrong(() => retry.redirect(hop), 'method: must be text, got null');
  wrong(() => retry.redirect({ method: 5 }), 'method: must be text, got 5; write "5"');
  wrong(() => retry.redirect({ method: 'GET', origin: new URL('http://a') }), 'origin: must be text, got a value of type URL');
  wrong(() => retry.redirect({ method: 'GET', hasIdempotencyKey: 'yes' }), 'hasIdempotencyKey: must be true or false, got "yes"; write true');
  wrong(() => new Retry({}, { method: 5 }), 'method: must be text, got 5; write "5"');
  wrong(() => new Retry({}, { asked: 1 }), 'asked: must be true or false, got 1');
  wrong(() => new Retry({}, { now: '1' }), 'now: must be a number, got "1"');
  for (const outcome of [undefined, null, {}]) wrong(() => retry.classify(outcome), 'outcome: must be a status or an error, got neither');
  wrong(() => retry.classify({ status: '503' }), 'status: must be a number, got "503"');
  wrong(() => retry.classify({ error: 5 }), 'error: must be text, got 5; write "5"');
  wrong(() => retry.classify({ status: 503 }, '1'), 'wall: must be a number, got "1"');
  retry.classify({ status: 503 });
  wrong(() => retry.decide({ retry: 'yes' }), 'retry: must be true or false, got "yes"; write true');
  wrong(() => retry.decide({ replayable: 0 }), 'replayable: must be true or false, got 0');
  wrong(() => new Budgets().reading(new Policy(), 5), 'origin: must be text, got 5; write "5"');
  assert.notEqual(retry.decide(null).waitMs, null);
  assert.equal(new Retry(undefined, null).attempt(), 1);
});

test('times are exact to the nanosecond', () => {
  const stopped = (timeout, now) => {
    const retry = new Retry({ timeout }, { now: 0 });
    retry.attempt(0);
    retry.classify({ status: 503 });
    return retry.decide({ waitMs: 0 }, now).stopReason;
  };
  assert.deepEqual([stopped('1ms', 0.999999), stopped('1ms', 1)], [null, 'deadline']);
  // A million times 1.001 is a little less than the whole number that it stands for.
  assert.equal(stopped('1001us', 1.001), 'deadline');
});

test('no case is lost', () => {
  assert.equal(waited, 110);
  assert.deepEqual([misuse.length, refused], [16, 32]);
  assert.deepEqual([cases.length, hints.length, backoffs.length, noBackoffs.length], [106, 40, 23, 10]);
  assert.deepEqual([budgetCases.length, list.ratios.length, concurrency.cases.length, noBudgets.length], [13, 16, 11, 6]);
});

const driverCases = vectors('driver').cases;
for (const { name, policy, call = {}, steps } of driverCases) {
  test(`driver: ${name}`, () => {
    const retry = new Retry(policy, { origin: 'http://a.test', ...call, now: 0 });
    const does = {
      attempt: ({ at }) => retry.attempt(at),
      classify: ({ at, status, headers, error, evidence, class: errorClass, returned }) =>
        retry.classify({ status, headers, error, evidence, errorClass, returned }, Date.now(), at),
      asks: ({ at, replayable, is }) => assert.equal(retry.isWorthAsking(replayable, at), is),
      decide: ({ at, opinion, replayable, then }) => {
        const wanted = typeof then === 'number' ? { waitMs: then, stopReason: null } : { waitMs: null, stopReason: then };
        assert.deepEqual(retry.decide({ opinion, replayable }, at), wanted);
      },
      limits: ({ at, is }) => {
        const { connectTimeout, perTryTimeout, idleTimeout, remaining } = retry.limits(at);
        assert.deepEqual([connectTimeout, perTryTimeout, idleTimeout, remaining], is);
        assert.deepEqual([retry.remaining(at), retry.deadline === null], [remaining, remaining === null]);
      },
      fields: ({ is }) => assert.deepEqual([...retry.headers].map(([name, value]) => [name, value.length === 36 ? '*' : value]), is),
      left: ({ is }) => assert.equal(retry.retriesLeft, is),
      kept: ({ is }) => assert.equal(retry.maxBodyBuffer, is),
      finish: ({ at }) => retry.finish(at),
      abandon: () => retry.abandon(),
      told: ({ stop_reason, explain }) => assert.deepEqual([retry.stopReason, retry.explain()], [stop_reason, explain]),
    };
    for (const step of steps) does[step.do](step);
    assert.deepEqual(retry.attempts.map(({ number }) => number), retry.attempts.map((_, i) => i + 1));
  });
}

test('one purse for clients and drivers, by the clock of the host', async () => {
  // As many retries as there are in the budget, which none comes back to for half a minute.
  const policy = new Policy({ maxRetries: 30, budget: { ratio: 0, minPerSecond: 1, ttl: '30s' }, backoff: '1ms' });
  const budgets = new Budgets();
  const client = createClient({ policy, budgets, proxy: false });
  await assert.rejects(client('http://127.0.0.1:1/'), ({ attempts }) => attempts.length === 31);
  assert.equal(budgets.reading(policy, 'http://127.0.0.1:1/path').withdrawals, 30);
  const retry = new Retry(policy, { origin: 'http://127.0.0.1:1', budgets });
  retry.attempt();
  retry.classify({ status: 503 });
  assert.equal(retry.decide().stopReason, 'budget_exhausted');
  client.close();
});
