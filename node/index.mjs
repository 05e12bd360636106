// One addon, one state: what require gives is what import gives.
import reknock from './index.js';

export const { createClient, fetch, request, retryFetch, retrying, attemptsOf, currentAttempt, Policy, PolicySet, Retry, Budgets, compare, lint, simulate, ReknockError, ENVOY_HEADERS, version } = reknock;
export default reknock;
