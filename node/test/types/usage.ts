// Compiled, not run: what the types allow and what they do not.

import { attemptsOf, Budgets, createClient, currentAttempt, ENVOY_HEADERS, fetch, Policy, ReknockError, request, Retry, retryFetch, retrying, version } from 'reknock';
import { retryStrategy } from 'reknock/aws';
import { instrument, requestHook, uninstrument } from 'reknock/telemetry';
import { noWait, Script } from 'reknock/testing';
import { retryInterceptor } from 'reknock/undici';
import type { AttemptMessage, AttemptRecord, CallMessage, Client, ErrorKind, LeanResponse, PolicyDocument, RetryResponse, StopReason } from 'reknock';

export async function calls(): Promise<void> {
  const client: Client = createClient({
    baseUrl: new URL('http://127.0.0.1:1/'),
    headers: { 'x-a': '1' },
    timeout: 10_000,
    policy: { maxRetries: 3, retryOn: ['5xx', 'not tls'], statuses: [503, '500-599'], backoff: { base: '100ms', firstUncapped: true } },
    retryIf: (attempt) => (attempt.status === 404 ? 250 : undefined),
    beforeRetry: async (attempt, request) => {
      request.headers.set('x-retry-of', String(attempt.number));
      request.url = new URL(request.url);
    },
    onEvent: (event) => {
      if (event.kind === 'end') event.stopReason satisfies StopReason;
      else if (event.kind === 'retry') event.attempt satisfies AttemptRecord;
    },
  });
  const response: RetryResponse = await client('/orders', { searchParams: { page: 2, tag: ['a', 'b'] }, signal: AbortSignal.timeout(1) });
  response satisfies Response;
  response.clone().attempts[0]?.waitMs?.toFixed();
  const wrapped: Response = new Response(response.body, response);
  void wrapped;
  await client.post('/orders', { json: { name: 'chair' }, policy: { max_retries: 1, backoff: { first_uncapped: true } } });
  await client.put('/file', { body: () => new Blob(['x']).stream(), policy: Policy.none() });
  await client.patch('/x', { body: (async function* () { yield 'a'; yield new Uint8Array(1); })(), policy: false });
  const lean: LeanResponse = await client.request('/orders', { method: 'DELETE', stream: true });
  for await (const piece of lean.body) piece.byteLength.toFixed();
  await Promise.all([fetch('http://h/'), request(new URL('http://h/')), client.fetch(new Request('http://h/'))]);
  const other = client.extend({ throwHttpErrors: true, http2: 'only', retryIf: null });
  other.budget('http://h')?.balance.toFixed();
  other.close();
  await other[Symbol.asyncDispose]();
  version.trim();
}

export function errors(error: unknown): ErrorKind | undefined {
  if (!(error instanceof ReknockError)) return undefined;
  error.attempts.map((attempt) => attempt.evidence);
  error.stopReason satisfies StopReason | null;
  error.response?.status.toFixed();
  return error.kind === 'http_status' ? undefined : error.kind;
}

export function policies(): PolicyDocument {
  const policy = new Policy({ timeout: '3s', budget: { kind: 'concurrency', percent: 20 }, retryAfter: { whenOver: 'cap' } });
  for (const loaded of Policy.loadAll('policy.yaml', 'envoy', 'a route')) loaded.notes.map(({ path, text }) => path + text);
  return policy.merge(false).merge({ max_body_buffer: '1MiB' }).toJSON();
}

export function mistakes(client: Client): void {
  // @ts-expect-error a number has no unit
  new Policy({ timeout: 3 });
  // @ts-expect-error the name is maxRetries
  new Policy({ maxAttempts: 3 });
  // @ts-expect-error no such condition
  new Policy({ retryOn: ['4xx'] });
  // @ts-expect-error no such delivery
  void client('http://h/', { delivery: 'soon' });
  // @ts-expect-error the method is known
  void client.get('http://h/', { method: 'POST' });
  // @ts-expect-error JSON goes to `json`
  void client.post('http://h/', { body: { a: 1 } });
  // @ts-expect-error text is no opinion
  createClient({ retryIf: () => 'yes' });
  // @ts-expect-error a policy does not change
  client.policy = Policy.none();
  // @ts-expect-error made by the package alone
  new ReknockError('x');
  // @ts-expect-error not every policy is there
  client.budget('http://h').balance;
}

export function ofEnvoy(policy: Policy, headers: Headers): number | null {
  // @ts-expect-error a list of ours
  ENVOY_HEADERS.push('x');
  const own = policy.withEnvoyHeaders(headers);
  for (const name of ENVOY_HEADERS) headers.delete(name);
  return own.expectedRqTimeoutMs(150);
}

export function machine(budgets: Budgets): number | StopReason {
  const retry = new Retry({ maxRetries: 1 }, { method: 'PUT', origin: 'http://h', budgets, seed: 7 });
  retry.attempt();
  retry.classify({ error: 'connect', evidence: 'not_sent' }).retry.valueOf();
  retry.redirect({ method: 'GET', origin: 'http://i', hasIdempotencyKey: false });
  // @ts-expect-error the method of a hop must be said
  retry.redirect({ origin: 'http://i' });
  const decision = retry.decide({ replayable: false });
  retry.finish();
  return decision.waitMs ?? decision.stopReason;
}

/** Wherever a fetch is wanted. */
export function passedOn(client: Client): (typeof globalThis.fetch)[] {
  return [client, client.fetch, client.asFetch(), fetch];
}

export async function inOneAwait(client: Client): Promise<string> {
  const { page } = await client.get('http://h/').json<{ page: number }>();
  const response = await client('http://h/');
  return `${page} ${response.attempts.length} ${await client.post('http://h/', { json: {} }).text()}`;
}

export async function adapters(): Promise<void> {
  const budgets = new Budgets();
  const own: typeof globalThis.fetch = retryFetch({ policy: 'llm', budgets });
  const other = retryFetch(async (url: string) => new Response(url), { policy: { maxRetries: 1 }, retryIf: ({ status }) => status === 404 });
  console.log(attemptsOf(await other('x'))?.explain(), await own('http://h/'), currentAttempt()?.remainingMs);
  const read = retrying(async (id: number) => `${id}`, { idempotent: true, on: [RangeError, (error) => error.code === 'x'], result: (text) => text === '' });
  console.log((await read(1)).length, retryInterceptor({ policy: false }), retryStrategy());
  const script = new Script([503, 'reset', { status: 200, body: 'x' }]);
  await retryFetch(script.fetch)('http://h/', { reknock: { policy: false } });
  console.log(script.sends[0]?.url, noWait().waits);
  // @ts-expect-error settings of a policy go into policy
  retryFetch({ maxRetries: 3 });
}

export function telemetry(message: AttemptMessage & CallMessage): void {
  instrument();
  instrument({ adapters: true });
  // @ts-expect-error no such option
  instrument({ tracer: 1 });
  requestHook({ setAttribute: () => undefined as never });
  uninstrument();
  if (message.headers !== null) message.headers['x-attempt'] = `${message.call.callId}`;
  message.record?.durationMs satisfies number | undefined;
  message.stopReason satisfies StopReason | null;
}
