// One addon, one state: what require gives is what import gives.
import reknock from './index.js';

export const { createClient, fetch, request, Policy, Retry, Budgets, ReknockError, version } = reknock;
export default reknock;
