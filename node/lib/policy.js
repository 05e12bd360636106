'use strict';

const { inspect } = require('node:util');
const { fileURLToPath } = require('node:url');
const { guard } = require('./guard.js');
const { flat } = require('./input.js');
const native = require('./native.js');

/** What one call is allowed to do. Immutable. */
class Policy {
  #native;

  /** The default policy with these settings, camelCase or snake_case, durations as text such as '250ms'. */
  constructor(settings) {
    this.#native = settings instanceof native.NativePolicy ? settings : guard(() => new native.NativePolicy(settings));
  }

  static fromYaml(text) {
    return new Policy(guard(() => native.NativePolicy.fromYaml(text)));
  }

  static fromJson(text) {
    return new Policy(guard(() => native.NativePolicy.fromJson(text)));
  }

  static fromToml(text) {
    return new Policy(guard(() => native.NativePolicy.fromToml(text)));
  }

  static load(file) {
    return new Policy(guard(() => native.NativePolicy.load(pathOf(file))));
  }

  static loadAll(file, dialect, name) {
    return guard(() => native.loadPolicies(pathOf(file), dialect, name)).map(loaded);
  }

  static readAll(text, dialect, name) {
    return guard(() => native.readPolicies(text, dialect, name)).map(loaded);
  }

  static none() {
    return new Policy(native.NativePolicy.none());
  }

  static preset(name) {
    return new Policy(guard(() => native.NativePolicy.preset(name)));
  }

  /** What the addon takes for a policy: the native one of a Policy or a PolicySet, anything else as it is. */
  static native(policy) {
    return policy instanceof Policy ? policy.#native : PolicySet.native(policy);
  }

  get notes() {
    return notesOf(this.#native);
  }

  merge(settings) {
    return new Policy(guard(() => this.#native.merge(Policy.native(settings))));
  }

  withEnvoyHeaders(headers) {
    return new Policy(guard(() => this.#native.withEnvoyHeaders(flat(headers, 'headers'))));
  }

  expectedRqTimeoutMs(elapsedMs = 0) {
    return guard(() => this.#native.expectedRqTimeoutMs(elapsedMs)) ?? null;
  }

  equals(other) {
    return other instanceof Policy && this.#native.equals(other.#native);
  }

  explain() {
    return this.#native.explain();
  }

  toYaml() {
    return this.#native.toYaml();
  }

  /** The whole document, as JSON.stringify asks for it. */
  toJSON() {
    return this.#native.toDocument();
  }

  toString() {
    return this.#native.toShort();
  }

  [inspect.custom](depth, options) {
    return `Policy ${inspect(this.#native.toShortDocument(), options)}`;
  }
}

/** Policies, and rules that say which of them a request has. Immutable. */
class PolicySet {
  #native;

  /** The set of a document, camelCase or snake_case; a policy, or its settings, is a set of one. */
  constructor(document) {
    this.#native = document instanceof native.NativePolicySet ? document : guard(() => new native.NativePolicySet(Policy.native(document)));
  }

  static load(file, dialect, { watch = false } = {}) {
    return new PolicySet(guard(() => native.NativePolicySet.load(pathOf(file), dialect, watch)));
  }

  static read(text, dialect) {
    return new PolicySet(guard(() => native.NativePolicySet.read(text, dialect)));
  }

  static native(policy) {
    return policy instanceof PolicySet ? policy.#native : policy;
  }

  get policies() {
    return this.#native.policies.map(loaded);
  }

  get rules() {
    return this.#native.rules;
  }

  get default() {
    return this.#native.defaultName ?? null;
  }

  get notes() {
    return notesOf(this.#native);
  }

  merge(settings) {
    return new PolicySet(guard(() => this.#native.merge(Policy.native(settings))));
  }

  policyFor(request) {
    return new Policy(guard(() => this.#native.policyFor(request)));
  }

  ruleFor(request) {
    return guard(() => this.#native.ruleFor(request));
  }

  explain(request) {
    return guard(() => this.#native.explain(request));
  }

  equals(other) {
    return other instanceof PolicySet && this.#native.equals(other.#native);
  }

  toYaml() {
    return this.#native.toYaml();
  }

  /** The whole document, as JSON.stringify asks for it. */
  toJSON() {
    return this.#native.toDocument();
  }

  toString() {
    return this.toYaml();
  }

  [inspect.custom](depth, options) {
    return `PolicySet ${inspect(this.toJSON(), options)}`;
  }
}

/** The headers of a request that Envoy keeps to itself. */
const ENVOY_HEADERS = Object.freeze(native.envoyHeaders());

/** A policy of a file, with what differs from the original. */
function loaded(found) {
  return { name: found.name, dialect: found.dialect, policy: new Policy(found.policy), notes: notesOf(found), explain: () => found.explain() };
}

function notesOf(found) {
  return found.notes.map(([path, text]) => ({ path, text }));
}

function pathOf(file) {
  return file instanceof URL ? fileURLToPath(file) : file;
}

module.exports = { ENVOY_HEADERS, Policy, PolicySet };
