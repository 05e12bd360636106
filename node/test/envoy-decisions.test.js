'use strict';
// The decisions recorded from a real Envoy, replayed as in core/tests/client/envoy.rs: tests/vectors/envoy/decisions.json.

const assert = require('node:assert/strict');
const { describe, it, test } = require('node:test');
const { createClient } = require('../index.js');
const { serve } = require('./support/server.js');
const { route, vectors } = require('./support/vectors.js');

/** What an HTTP client cannot show as a proxy does (the reasons are in core/tests/client/envoy.rs): run, but not compared. */
const EXCEPTIONS = ['mx.connect-failure.accept-close', 'mx.reset-before-request.accept-close'];
/** The failures that Envoy's flags stand for; of some it matters whether Envoy answered. */
const KINDS = {
  UF: ['connect', 'connect_timeout'],
  UC: ['reset', 'connect'],
  UR: ['refused_stream', 'reset'],
  'UT complete': ['per_try_timeout', 'deadline'],
  'UT truncated-eof': ['deadline'],
  'UPE complete': ['protocol', 'reset'],
  'UPE truncated-eof': ['body'],
};
const UNSEEN = ['refused', 'connect-timeout'];
const LIMITS = ['timeout', 'per_try_timeout', 'per_try_idle_timeout'];

/** A route with limits ten times as long: a busy machine must not decide. */
function patient(block) {
  const limit = (text) => (Number.parseFloat(text) < 1 ? `${(Number.parseFloat(text) * 10).toFixed(1)}s` : text);
  const entries = Object.entries(block).map(([key, value]) => [key, LIMITS.includes(key) ? limit(value) : key === 'retry_policy' ? patient(value) : value]);
  return Object.fromEntries(entries);
}

/** Envoy's waits: a hint of n seconds waits in [n, 1.5 n], anything else in the back-off's band, of 20 ms at most. */
function sameGap([least], { waitMs, hintMs }) {
  return least <= 500 ? waitMs <= 20 : hintMs > 0 && hintMs <= waitMs && waitMs <= 1.5 * hintMs;
}

const { cases } = vectors('envoy/decisions');

test('no case is lost', () => assert.equal(cases.length, 1138));

describe('recorded decisions', { concurrency: 32 }, () => {
  for (const given of cases) {
    const { id, script: outcomes, request, flags, outcome } = given;
    it(id, async (t) => {
      const http2 = id.includes('h2-');
      const script = await serve(t, ...outcomes, { http2 });
      // The server does not see these attempts, and stays as it is until it is told.
      const beforeRetry = ({ number }) => (number < outcomes.length && UNSEEN.includes(outcomes[number - 1].do) ? script.advance() : undefined);
      const policy = route({ route: patient(given.route) }).merge({ connectTimeout: '2s' });
      const client = createClient({ policy, envoyHeaders: true, http2: http2 ? 'only' : 'none', beforeRetry });
      const ended = await client.request(script.url, request).catch((error) => error);
      client.close();
      if (EXCEPTIONS.includes(id)) return;
      const flag = flags.split(',').at(-1);
      const kinds = KINDS[flag] ?? KINDS[`${flag} ${outcome}`];
      if (kinds) assert.ok(kinds.includes(ended.kind), `${ended.kind ?? ended.statusCode}`);
      else assert.equal(ended.statusCode, given.status, ended.message);
      assert.equal(ended.attempts.length, given.attempts);
      if (given.first_gap_ms) assert.ok(sameGap(given.first_gap_ms, ended.attempts[0]), JSON.stringify(ended.attempts[0]));
    });
  }
});
