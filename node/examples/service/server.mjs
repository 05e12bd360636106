// A service that calls an upstream which fails now and then: a policy for each route, in a file that may be edited while it runs; metrics for Prometheus at
// /metrics; a span for each attempt, with how often it was sent before; events in the log.
//
//   UPSTREAM=http://127.0.0.1:9000 PORT=3000 node server.mjs

import { subscribe } from 'node:diagnostics_channel';
import { SpanStatusCode } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import Fastify from 'fastify';
import { createClient, PolicySet } from 'reknock';
import { instrument } from 'reknock/telemetry';

const { UPSTREAM = 'http://127.0.0.1:9000', PORT = '3000', POLICIES = new URL('policies.yaml', import.meta.url) } = process.env;

const service = Fastify({ logger: true });

// Events of all calls go to the log, each with the call and its attempts as fields.
const LEVELS = { debug: 'debug', info: 'info', warning: 'warn' };
subscribe('reknock:event', ({ level, text, ...fields }) => service.log[LEVELS[level]](fields, text));

// Spans go to the log as well; to a collector with OTLPTraceExporter in place of this one.
const exporter = {
  export(spans, done) {
    for (const { name, attributes, status } of spans) service.log.info({ span: name, attributes, failed: status.code === SpanStatusCode.ERROR }, 'span');
    done({ code: 0 });
  },
  shutdown: async () => {},
};
const prometheus = new PrometheusExporter({ preventServerStart: true });
instrument({
  tracerProvider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  meterProvider: new MeterProvider({ readers: [prometheus] }),
});

const client = createClient({ baseUrl: UPSTREAM, policy: PolicySet.load(POLICIES, undefined, { watch: true }) });

/** What the upstream says, with how many attempts that took. */
async function relay(reply, path, name) {
  const { statusCode, body, attempts, stopReason } = await client.request(path, { name });
  return reply.code(statusCode).headers({ 'x-attempts': attempts.length, 'x-stop-reason': stopReason }).send(await body.text());
}

service.get('/orders/:id', ({ params }, reply) => relay(reply, `/orders/${encodeURIComponent(params.id)}`, '/orders/{id}'));
service.get('/reports', (_, reply) => relay(reply, '/reports', '/reports'));
service.get('/metrics', ({ raw }, reply) => {
  reply.hijack();
  prometheus.getMetricsRequestHandler(raw, reply.raw);
});

await service.listen({ port: Number(PORT), host: '127.0.0.1' });
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => service.close().finally(() => client.close()));
