'use strict';

const { guard } = require('./guard.js');
const native = require('./native.js');
const { Policy } = require('./policy.js');

/** What a policy did in a scenario. */
class Report {
  #json;

  constructor(json, passed) {
    this.#json = json;
    /** Whether every rule of the scenario's `expect` holds. */
    this.passed = passed;
  }

  /** Everything; keys as in documents (snake_case). */
  toObject() {
    return JSON.parse(this.#json);
  }

  /** The same bytes for the same policy, scenario and seeds in every language. */
  toJson() {
    return this.#json;
  }
}

/** Runs a policy through a scenario, in virtual time: the name of a preset, or a plain object (the page Simulate of the documentation lists its keys). */
function simulate(policy, scenario) {
  return new Report(...guard(() => native.simulatePolicy(Policy.native(policy), scenario)));
}

/** Runs several policies, by name, through the same scenario. */
function compare(policies, scenario) {
  const names = Object.keys(policies);
  const [results, json, html] = guard(() => native.comparePolicies(names, Object.values(policies).map(Policy.native), scenario));
  const reports = Object.fromEntries(names.map((name, at) => [name, new Report(...results[at])]));
  return { reports, passed: results.every(([, passed]) => passed), toJson: () => json, toHtml: () => html };
}

/** Looks at a policy: bounds that are proven, and settings that contradict each other or do harm. */
function lint(policy, surroundings = {}) {
  const [json, text, worst] = guard(() => native.lintPolicy(Policy.native(policy), surroundings));
  return { ...JSON.parse(json), worst, toString: () => text };
}

module.exports = { compare, simulate, lint, Report };
