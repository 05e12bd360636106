// Retries of the AWS SDK for JavaScript, version 3.

import type { AdapterOptions } from './index.js';

/** What a client takes as `retryStrategy`: `new S3Client({ retryStrategy: retryStrategy({ policy: { maxRetries: 3 } }) })`. Asks no callbacks but `onEvent`. */
export function retryStrategy(options?: Omit<AdapterOptions, 'retryIf' | 'delay'>): {
  readonly mode: string;
  acquireInitialRetryToken(scope: string): Promise<RetryToken>;
  refreshRetryTokenForRetry(token: RetryToken, info: any): Promise<RetryToken>;
  recordSuccess(token: RetryToken): void;
};

/** What the SDK hands from attempt to attempt. */
export interface RetryToken {
  getRetryCount(): number;
  getRetryDelay(): number;
  getRetryCost(): number;
}
