// Retries as an interceptor of undici 6, 7 and 8.

import type { AdapterOptions } from './index.js';

/**
 * An interceptor: `new Agent().compose(retryInterceptor({ policy: { maxRetries: 3 } }))`. Bodies that come once, as all of `fetch`'s, are kept up to `maxBodyBuffer`. Records of
 * responses go to `onEvent`, those of errors are had by `attemptsOf`. Leave undici's own `retry` interceptor and `RetryAgent` out.
 */
export function retryInterceptor(options?: AdapterOptions): (dispatch: any) => any;
