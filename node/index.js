'use strict';

const { createClient, fetch, request } = require('./lib/client.js');
const { ReknockError } = require('./lib/errors.js');
const { retryFetch } = require('./lib/fetching.js');
const { retrying } = require('./lib/functions.js');
const { currentAttempt } = require('./lib/nesting.js');
const { ENVOY_HEADERS, Policy, PolicySet } = require('./lib/policy.js');
const { attemptsOf } = require('./lib/records.js');
const { Budgets, Retry } = require('./lib/retry.js');
const { compare, lint, simulate } = require('./lib/simulate.js');
const { version } = require('./lib/native.js');

module.exports = {
  createClient, fetch, request, retryFetch, retrying, attemptsOf, currentAttempt, Policy, PolicySet, Retry, Budgets, compare, lint, simulate, ReknockError, ENVOY_HEADERS, version: version(),
};
