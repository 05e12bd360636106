// Spans and metrics of OpenTelemetry, for programs that have its API.

import type { Span, MeterProvider, TracerProvider } from '@opentelemetry/api';

/** With which providers, and what of. */
export interface TelemetryOptions {
  /** Default: the global one of the moment. */
  tracerProvider?: TracerProvider;
  /** Default: the global one of the moment. */
  meterProvider?: MeterProvider;
  /**
   * Whether attempts of `retryFetch` and of the interceptor for undici have spans too, and send a `traceparent`. Default: no, because what sends has an instrumentation
   * of its own in most programs (`requestHook`). Their retries, waits and budgets are counted anyhow.
   */
  adapters?: boolean;
}

/**
 * From now on each attempt of a client is a CLIENT span by the stable conventions of HTTP, a child of the span that is current where the call is made, and sends a
 * `traceparent` of its own; and there are the metrics `http.client.request.duration`, `reknock.retries`, `reknock.wait.duration`, `reknock.budget.balance`
 * and `reknock.budget.refused`. Of this thread. Called again, with other options. Throws an `Error` if `@opentelemetry/api` is not there, a `TypeError` for an unknown option.
 */
export function instrument(options?: TelemetryOptions): void;

/** Ends it. */
export function uninstrument(): void;

/**
 * Tells spans that another instrumentation makes of an adapter's attempts how often the request was sent before (`http.request.resend_count`):
 * `new UndiciInstrumentation({ requestHook })`.
 */
export function requestHook(span: Pick<Span, 'setAttribute'>, ...rest: unknown[]): void;
