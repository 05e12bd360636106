'use strict';
// Spans and metrics as OpenTelemetry's own SDK has them in memory.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { context, propagation, trace, SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { W3CTraceContextPropagator } = require('@opentelemetry/core');
const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { Agent } = require('undici7');
const { createClient, retryFetch, retrying } = require('..');
const { instrument, requestHook, uninstrument } = require('../lib/telemetry.js');
const { retryInterceptor } = require('../lib/interceptor.js');
const { serve, status, DONE, FAST, HANG, NO } = require('./support/server.js');

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

/** What is seen until the test is over: `spans()`, `metrics()`. */
function seen(t, options) {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const memory = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: memory, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  instrument({ tracerProvider, meterProvider, ...options });
  t.after(async () => {
    uninstrument();
    await meterProvider.shutdown();
  });
  const metrics = async () => {
    memory.reset();
    await reader.forceFlush();
    const all = memory.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    return Object.fromEntries(all.map(({ descriptor, dataPoints }) => [descriptor.name, { unit: descriptor.unit, points: dataPoints.map(({ attributes, value }) => [attributes, value]) }]));
  };
  return { spans: () => exporter.getFinishedSpans(), metrics, tracer: tracerProvider.getTracer('test') };
}

const traceparent = ({ headers }) => new Headers(headers).get('traceparent');
const parentOf = (span) => `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`;

/** The ways to call, each a function of a URL. */
function ways(policy) {
  const client = createClient({ policy });
  const agent = new Agent().compose(retryInterceptor({ policy }));
  return {
    fetch: (url, init) => client(url, init),
    request: (url, init) => client.request(url, init),
    streamed: async (url, init) => (await client(url, { ...init, delivery: 'streamed' })).text(),
    retryFetch: retryFetch({ policy }),
    undici: async (url, init) => (await agent.request({ origin: new URL(url).origin, path: new URL(url).pathname, method: 'GET', ...init })).body.text(),
  };
}

test('one span for each attempt, a child of what is current where the call is made, and its traceparent reaches the server', async (t) => {
  const { spans, tracer } = seen(t, { adapters: true });
  let before = 0;
  for (const [name, call] of Object.entries(ways(FAST))) {
    const script = await serve(t, NO, NO, DONE);
    const parent = tracer.startSpan('mine');
    await context.with(trace.setSpan(context.active(), parent), async () => {
      await null;
      await call(`${script.url}/orders`);
    });
    const own = spans().slice(before);
    before = spans().length;
    assert.deepEqual((await script.log()).map(traceparent), own.map(parentOf), name);
    assert.equal(new Set(own.map(parentOf)).size, 3);
    for (const span of own) {
      assert.equal(span.parentSpanContext.spanId, parent.spanContext().spanId, name);
      assert.equal(span.spanContext().traceId, parent.spanContext().traceId);
      assert.equal(span.kind, SpanKind.CLIENT);
      assert.equal(span.instrumentationScope.name, 'reknock');
    }
    assert.deepEqual(own.map(({ attributes }) => attributes['http.request.resend_count']), [undefined, 1, 2]);
  }
});

test('a span by the conventions: of a response, of a refusal, of a failure', async (t) => {
  const { spans } = seen(t);
  const { url, port } = await serve(t, NO, { do: 'reset' }, DONE);
  const began = Date.now();
  await createClient({ policy: FAST })(`${url.replace('://', '://me:secret@')}/orders/7?key=secret`, { name: '/orders/{id}' });
  const [refused, failed, done] = spans();
  const always = {
    'http.request.method': 'GET', 'url.full': `${url}/orders/7?key=...`, 'server.address': '127.0.0.1', 'server.port': port, 'url.template': '/orders/{id}',
  };
  const answered = { 'network.protocol.version': '1.1', 'network.peer.address': '127.0.0.1', 'network.peer.port': port };
  assert.deepEqual(refused.attributes, { ...always, ...answered, 'http.response.status_code': 503, 'error.type': '503' });
  assert.deepEqual({ ...answered, ...failed.attributes }, { ...always, ...answered, 'http.request.resend_count': 1, 'error.type': 'reset' });
  assert.deepEqual(done.attributes, { ...always, ...answered, 'http.request.resend_count': 2, 'http.response.status_code': 200 });
  assert.deepEqual([refused, failed, done].map((span) => [span.name, span.status.code]), [
    ['GET /orders/{id}', SpanStatusCode.ERROR], ['GET /orders/{id}', SpanStatusCode.ERROR], ['GET /orders/{id}', SpanStatusCode.UNSET],
  ]);
  const times = [refused, failed, done].map(({ startTime, duration }) => [startTime[0] * 1e3 + startTime[1] / 1e6, duration[0] * 1e3 + duration[1] / 1e6]);
  for (const [start, duration] of times) assert.ok(start > began - 1000 && duration > 0, `${start} ${duration}`);
  assert.ok(times[0][0] + times[0][1] <= times[1][0] + 1, 'one after the other');
});

test('redirects are attempts of their own, at their own servers; an unknown method is _OTHER', async (t) => {
  const { spans } = seen(t);
  const other = await serve(t, DONE);
  const { url, port } = await serve(t, { do: 'redirect', status: 307, location: `${other.url}/there?a=b` }, DONE);
  const client = createClient();
  await client(url);
  await client(url, { method: 'PURGE' });
  assert.deepEqual(spans().map(({ name, attributes: { 'url.full': full, 'server.port': to, 'http.request.method': method, 'http.request.method_original': original, 'http.request.resend_count': again } }) => [name, full, to, method, original, again]), [
    ['GET', `${url}/`, port, 'GET', undefined, undefined],
    ['GET', `${other.url}/there?a=...`, other.port, 'GET', undefined, 1],
    ['HTTP', `${url}/`, port, '_OTHER', 'PURGE', undefined],
  ]);
});

test('metrics: durations, retries by reason, waits, the budget and what it refuses', async (t) => {
  const { metrics } = seen(t);
  const { url, port } = await serve(t, NO, { do: 'reset' }, NO);
  const client = createClient({ policy: { backoff: '10ms', budget: { ratio: 0, minPerSecond: 1, ttl: '2s' } } });
  await client(url, { name: 'orders' });
  await client(url, { name: 'orders' });
  const to = { 'server.address': '127.0.0.1', 'server.port': port, 'url.template': 'orders' };
  const found = await metrics();
  const { unit, points } = found['http.client.request.duration'];
  const http = { 'http.request.method': 'GET', ...to };
  assert.equal(unit, 's');
  const counts = Object.fromEntries(points.map(([attributes, { count }]) => [attributes['error.type'], [count, attributes]]));
  assert.deepEqual(counts['503'], [3, { ...http, 'error.type': '503', 'http.response.status_code': 503, 'network.protocol.version': '1.1' }]);
  assert.equal(counts.reset[0], 1);
  assert.deepEqual(points[0][1].buckets.boundaries, [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
  assert.deepEqual(found['reknock.retries'], { unit: '{retry}', points: [[{ ...to, reason: '503' }, 1], [{ ...to, reason: 'reset' }, 1]] });
  const [[waited, { count, sum }]] = found['reknock.wait.duration'].points;
  assert.deepEqual([waited, count], [to, 2]);
  assert.ok(sum > 0 && sum < 0.1, `${sum}`);
  assert.deepEqual(found['reknock.budget.refused'].points, [[to, 1]]);
  assert.deepEqual(found['reknock.budget.balance'].points, [[to, client.budget(url).balance]]);
});

test('adapters are counted; their spans are those of what sends, unless they are asked for', async (t) => {
  const { spans, metrics } = seen(t);
  const { url, port } = await serve(t, NO, DONE);
  await retryFetch({ policy: { backoff: '10ms' }, name: 'orders' })(url);
  let times = 0;
  await retrying(async () => (times++ ? 1 : Promise.reject(Object.assign(new Error(), { code: 'ECONNRESET' }))), { policy: FAST, idempotent: true, name: 'read' })();
  assert.deepEqual(spans(), []);
  const { 'reknock.retries': retries, 'reknock.budget.balance': balance } = await metrics();
  const to = { 'server.address': '127.0.0.1', 'server.port': port, 'url.template': 'orders' };
  assert.deepEqual(retries.points, [[{ ...to, reason: '503' }, 1], [{ 'code.function.name': 'read', reason: 'reset' }, 1]]);
  assert.deepEqual(balance.points.map(([attributes]) => attributes), [to]);
});

test('the hook tells spans of others how often a request was sent before', async (t) => {
  const channel = require('node:diagnostics_channel').channel('undici:request:create');
  const numbers = [];
  const create = () => {
    const attributes = {};
    requestHook({ setAttribute: (name, value) => (attributes[name] = value) });
    numbers.push(attributes['http.request.resend_count']);
  };
  const { url } = await serve(t, NO, NO, DONE);
  channel.subscribe(create);
  await retryFetch({ policy: FAST })(url);
  channel.unsubscribe(create);
  assert.deepEqual(numbers, [undefined, 1, 2]);
});

test('a call that is given up ends its span, and is a duration of what was cancelled', async (t) => {
  const { spans, metrics } = seen(t);
  const script = await serve(t, HANG);
  const control = new AbortController();
  const call = createClient()(script.url, { signal: control.signal });
  await script.until((arrivals) => arrivals.length === 1);
  control.abort();
  await assert.rejects(call, { name: 'AbortError' });
  assert.deepEqual(spans().map(({ status: { code }, attributes }) => [code, attributes['error.type']]), [[SpanStatusCode.ERROR, 'cancelled']]);
  const { points } = (await metrics())['http.client.request.duration'];
  assert.deepEqual(points.map(([attributes, { count }]) => [attributes['error.type'], count]), [['cancelled', 1]]);
});

test('it begins and ends when one says so, and takes no option that there is not', async (t) => {
  const { spans } = seen(t);
  const { url } = await serve(t, status(200), status(200));
  uninstrument();
  await createClient()(url);
  assert.deepEqual(spans(), []);
  uninstrument();
  assert.throws(() => instrument({ tracer: 1 }), /instrument: tracer: no such option; there are tracerProvider, meterProvider, adapters/);
});
