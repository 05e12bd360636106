'use strict';

const { fromNative } = require('./errors.js');

/** Calls the addon. What it throws is the parts of an error of ours, or an error of JavaScript's. */
function guard(call) {
  try {
    return call();
  } catch (thrown) {
    throw thrown instanceof Error ? thrown : fail(thrown);
  }
}

/** The error of its parts. The causes of its cause are told in one line: what made them has no stack worth showing. */
function fail({ causes, ...parts }) {
  return fromNative({ ...parts, cause: causes.length > 0 ? causes.join(': ') : undefined });
}

module.exports = { guard, fail };
