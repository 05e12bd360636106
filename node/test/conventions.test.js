'use strict';
// Spans and metrics against the constants that OpenTelemetry generates from its conventions for HTTP clients.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const stable = require('@opentelemetry/semantic-conventions');
const { ATTR_URL_TEMPLATE } = require('@opentelemetry/semantic-conventions/incubating');
const { createClient } = require('..');
const native = require('../lib/native.js');
const { instrument, uninstrument } = require('../lib/telemetry.js');
const { serve, status, FAST, NO } = require('./support/server.js');

const {
  ATTR_ERROR_TYPE, ATTR_HTTP_REQUEST_METHOD, ATTR_HTTP_REQUEST_METHOD_ORIGINAL, ATTR_HTTP_REQUEST_RESEND_COUNT, ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_NETWORK_PEER_PORT, ATTR_NETWORK_PROTOCOL_VERSION, ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT, ATTR_URL_FULL, METRIC_HTTP_CLIENT_REQUEST_DURATION,
} = stable;
const STABLE = new Set([...Object.entries(stable)].filter(([name]) => name.startsWith('ATTR_')).map(([, value]) => value));
const NUMBERS = new Set([ATTR_SERVER_PORT, ATTR_NETWORK_PEER_PORT, ATTR_HTTP_RESPONSE_STATUS_CODE, ATTR_HTTP_REQUEST_RESEND_COUNT]);
const OF_METRICS = new Set([
  ATTR_HTTP_REQUEST_METHOD, ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT, ATTR_ERROR_TYPE, ATTR_HTTP_RESPONSE_STATUS_CODE, ATTR_NETWORK_PROTOCOL_VERSION, ATTR_URL_TEMPLATE,
]);
/** As the text of the metric advises. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

test('every attribute is one of theirs, and what they require is there', async (t) => {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const memory = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: memory, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  instrument({ tracerProvider, meterProvider });
  t.after(async () => {
    uninstrument();
    await meterProvider.shutdown();
  });
  const there = await serve(t, status(200));
  const { url } = await serve(t, NO, { do: 'reset' }, { do: 'redirect', status: 307, location: `${there.url}/?sig=s3cret` }, status(404));
  const client = createClient({ policy: FAST });
  await client(`${url.replace('://', '://me:s3cret@')}/a?X-Amz-Signature=s3cret&b#s3cret`, { name: '/a' });
  await client(url, { method: 'PURGE' });
  const http2 = await serve(t, status(200), { http2: true });
  await createClient({ policy: FAST, http2: 'only' })(http2.url);
  const refused = await serve(t, { do: 'refused' });
  await assert.rejects(createClient({ policy: { maxRetries: 0 } })(refused.url));

  const spans = exporter.getFinishedSpans();
  for (const { attributes, kind, name, status: end, instrumentationScope } of spans) {
    assert.deepEqual([kind, instrumentationScope.schemaUrl], [SpanKind.CLIENT, 'https://opentelemetry.io/schemas/1.44.0']);
    for (const [key, value] of Object.entries(attributes)) {
      assert.ok(STABLE.has(key) || key === ATTR_URL_TEMPLATE, key);
      assert.equal(typeof value, NUMBERS.has(key) ? 'number' : 'string', key);
    }
    for (const key of [ATTR_HTTP_REQUEST_METHOD, ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT, ATTR_URL_FULL]) assert.ok(key in attributes, key);
    const code = attributes[ATTR_HTTP_RESPONSE_STATUS_CODE];
    const failed = code === undefined || code >= 400;
    assert.deepEqual([end.code === SpanStatusCode.ERROR, ATTR_ERROR_TYPE in attributes, end.message], [failed, failed, undefined]);
    if (failed && code !== undefined) assert.equal(attributes[ATTR_ERROR_TYPE], `${code}`);
    const method = attributes[ATTR_HTTP_REQUEST_METHOD];
    const verb = method === '_OTHER' ? 'HTTP' : method;
    assert.equal(name, attributes[ATTR_URL_TEMPLATE] ? `${verb} ${attributes[ATTR_URL_TEMPLATE]}` : verb);
    assert.ok(!JSON.stringify([attributes, name]).includes('s3cret'));
  }
  const all = spans.map(({ attributes }) => attributes);
  assert.deepEqual(all.map((about) => about[ATTR_HTTP_REQUEST_RESEND_COUNT]), [undefined, 1, 2, 3, undefined, undefined, undefined]);
  const [first, reset, , followed, purged, second, failed] = all;
  assert.deepEqual([first[ATTR_URL_FULL], followed[ATTR_URL_FULL]], [`${url}/a?X-Amz-Signature=...&...`, `${there.url}/?sig=...`]);
  assert.deepEqual([purged[ATTR_HTTP_REQUEST_METHOD], purged[ATTR_HTTP_REQUEST_METHOD_ORIGINAL]], [stable.HTTP_REQUEST_METHOD_VALUE_OTHER, 'PURGE']);
  assert.deepEqual([first[ATTR_NETWORK_PROTOCOL_VERSION], second[ATTR_NETWORK_PROTOCOL_VERSION]], ['1.1', '2']);
  assert.deepEqual([reset[ATTR_ERROR_TYPE], failed[ATTR_ERROR_TYPE], ATTR_NETWORK_PROTOCOL_VERSION in failed], ['reset', 'connect', false]);

  await reader.forceFlush();
  const metrics = memory.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  const { descriptor, dataPoints } = metrics.find((metric) => metric.descriptor.name === METRIC_HTTP_CLIENT_REQUEST_DURATION);
  assert.deepEqual([descriptor.unit, descriptor.description], ['s', 'Duration of HTTP client requests.']);
  assert.equal(dataPoints.reduce((sum, { value }) => sum + value.count, 0), spans.length);
  for (const { attributes, value } of dataPoints) {
    for (const key of Object.keys(attributes)) assert.ok(OF_METRICS.has(key), key);
    for (const key of [ATTR_HTTP_REQUEST_METHOD, ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT]) assert.ok(key in attributes, key);
    assert.deepEqual(value.buckets.boundaries, BUCKETS);
  }
});

test('known methods are the values of the attribute, and QUERY, which its text names; a variable of the environment says otherwise', () => {
  const theirs = Object.entries(stable).filter(([name]) => name.startsWith('HTTP_REQUEST_METHOD_VALUE_')).map(([, value]) => value);
  assert.deepEqual(native.knownMethods().toSorted(), [...theirs.filter((method) => method !== '_OTHER'), 'QUERY'].toSorted());
  const code = `console.log(require(${JSON.stringify(path.join(__dirname, '../lib/native.js'))}).knownMethods().join())`;
  const env = { ...process.env, OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: 'GET,PURGE' };
  assert.equal(execFileSync(process.execPath, ['-e', code], { env, encoding: 'utf8' }).trim(), 'GET,PURGE');
});
