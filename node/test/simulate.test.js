'use strict';

// What a policy will do before it ships: simulate, lint, and their commands.

const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { Policy, compare, lint, simulate } = require('..');
const { cases } = require('../../tests/vectors/simulate.json');

for (const { name, policy, scenario, result, passed } of cases) {
  test(`the same bytes as in every language: ${name}`, () => {
    const report = simulate(new Policy(policy), scenario);
    assert.equal(report.toJson(), result);
    assert.equal(report.passed, passed);
    assert.deepEqual(report.toObject(), JSON.parse(result));
  });
}

test('policies and scenarios in their short forms', () => {
  assert.equal(simulate(false, 'batch').toObject().attempts, 2500);
  assert.throws(() => simulate(false, 'spikes'), { kind: 'config', message: /did you mean "spike"\?/ });
});

test('policies are compared', () => {
  const scenario = { preset: 'batch', seeds: 1, expect: { goodput: 0.99 } };
  const both = compare({ 'ours & theirs': new Policy(), none: false }, scenario);
  assert.deepEqual(Object.keys(both.reports), ['ours & theirs', 'none']);
  assert.equal(both.reports.none.toJson(), simulate(false, scenario).toJson());
  assert.deepEqual([both.reports['ours & theirs'].passed, both.reports.none.passed, both.passed], [true, false, false]);
  assert.equal(JSON.parse(both.toJson()).none.attempts, 500);
  assert.equal(both.toHtml().split('<svg').length, 5);
  assert.match(both.toHtml(), /ours &amp; theirs/);
  assert.throws(() => compare({}, 'batch'), { kind: 'config', message: /policies: must hold at least one/ });
});

test('lint finds and bounds', () => {
  const result = lint({ timeout: '10s', budget: { minPerSecond: 10 } }, { processes: 64, capacity: 100 });
  assert.equal(result.worst, 'warning');
  assert.ok(result.findings.some(({ rule }) => rule === 'floor-above-capacity'));
  assert.equal(result.bounds.attempts_per_call, 3);
  assert.match(`${result}`, /\[limit-never-fires\]/);
  assert.equal(lint().worst, null);
  assert.throws(() => lint({}, { process: 2 }), { kind: 'config', message: /did you mean processes\?/ });
});

test('the commands run in the core', () => {
  const program = path.join(__dirname, '../bin/reknock.js');
  const run = (...args) => execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  assert.equal(JSON.parse(run('simulate', 'none', '--scenario', 'batch', '--seeds', '1', '--json')).report.attempts, 500);
  assert.throws(() => run('lint'), { status: 2 });
});
