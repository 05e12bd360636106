'use strict';
// Spans and metrics by the conventions of OpenTelemetry, whose API is there if the program uses it: it is loaded when it is wanted, and no dependency.

const { channel, tracingChannel } = require('node:diagnostics_channel');
const { purses } = require('./channels.js');
const { wrongType } = require('./errors.js');
const native = require('./native.js');
const { currentAttempt } = require('./nesting.js');

const SCHEMA = { schemaUrl: 'https://opentelemetry.io/schemas/1.44.0' };
const METHODS = new Set(native.knownMethods());
const PORTS = { 'http:': 80, 'https:': 443 };
/** What the conventions advise, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const WAITS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** The most label sets that are remembered, and that a holder of budgets is asked about. */
const MOST = 1000;
const OPTIONS = ['tracerProvider', 'meterProvider', 'adapters'];

let made = null;

/** Makes spans and metrics from now on, with these providers or the global ones of this moment. Called again: with others. */
function instrument(options = {}) {
  const unknown = Object.keys(options).filter((name) => !OPTIONS.includes(name));
  if (unknown.length > 0) throw wrongType(`instrument: ${unknown.join(', ')}: no such option; there are ${OPTIONS.join(', ')}`);
  const api = load();
  uninstrument();
  made = new Telemetry(api, options);
}

/** Ends it: nobody pays for anything any more. */
function uninstrument() {
  made?.close();
  made = null;
}

/** Tells a span that another instrumentation makes of an adapter's attempt how often the request was sent before. */
function requestHook(span) {
  const number = currentAttempt()?.number ?? 1;
  if (number > 1) span.setAttribute('http.request.resend_count', number - 1);
}

function load() {
  try {
    return require('@opentelemetry/api');
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error('reknock/telemetry needs the package @opentelemetry/api: npm install @opentelemetry/api', { cause: error });
  }
}

class Telemetry {
  #api;
  #adapters;
  #tracer;
  #meter;
  /** The spans of attempts that are under way, by their messages. */
  #open = new WeakMap();
  /** The attributes of a call's last attempt, by the call. */
  #labels = new WeakMap();
  #known = new Map();
  #balances = new Balances();
  #attempts = tracingChannel('reknock:attempt');
  #events = channel('reknock:event');
  #handlers = { start: (message) => this.#begin(message), asyncEnd: (message) => this.#end(message) };
  #told = (event) => this.#count(event);
  #observe = (result) => this.#balances.observe(result);

  constructor(api, { tracerProvider = api.trace, meterProvider = api.metrics, adapters = false }) {
    this.#api = api;
    this.#adapters = adapters;
    this.#tracer = tracerProvider.getTracer('reknock', native.version(), SCHEMA);
    const meter = meterProvider.getMeter('reknock', native.version(), SCHEMA);
    const seconds = (description, explicitBucketBoundaries) => ({ unit: 's', description, advice: { explicitBucketBoundaries } });
    this.#meter = {
      duration: meter.createHistogram('http.client.request.duration', seconds('Duration of HTTP client requests.', BUCKETS)),
      retries: meter.createCounter('reknock.retries', { unit: '{retry}', description: 'Retries, by what they were made for.' }),
      waits: meter.createHistogram('reknock.wait.duration', seconds('Waits before retries.', WAITS)),
      refused: meter.createCounter('reknock.budget.refused', { unit: '{retry}', description: 'Calls whose retry a budget refused.' }),
      balance: meter.createObservableGauge('reknock.budget.balance', { unit: '{retry}', description: 'Retries that a budget would grant now; the least, where there are several.' }),
    };
    this.#meter.balance.addCallback(this.#observe);
    this.#attempts.subscribe(this.#handlers);
    this.#events.subscribe(this.#told);
  }

  close() {
    this.#attempts.unsubscribe(this.#handlers);
    this.#events.unsubscribe(this.#told);
    this.#meter.balance.removeCallback(this.#observe);
  }

  /** Begins the span of an attempt, where its parent is current, and adds the header fields that lead on from it. */
  #begin(message) {
    const { call, number, url, headers } = message;
    const labels = this.#labelsOf(url ?? call.origin, call.name);
    this.#labels.set(call, labels);
    this.#balances.keep(purses.get(message), labels);
    if (!url || (message.adapter && !this.#adapters)) return;
    const api = this.#api;
    const method = METHODS.has(message.method) ? message.method : '_OTHER';
    const attributes = { 'http.request.method': method, 'url.full': url, ...labels.attributes };
    if (method === '_OTHER') attributes['http.request.method_original'] = message.method;
    if (number > 1) attributes['http.request.resend_count'] = number - 1;
    const verb = method === '_OTHER' ? 'HTTP' : method;
    const parent = api.context.active();
    const startTime = performance.timeOrigin + performance.now();
    const span = this.#tracer.startSpan(call.name ? `${verb} ${call.name}` : verb, { kind: api.SpanKind.CLIENT, attributes, startTime }, parent);
    const context = api.trace.setSpan(parent, span);
    if (headers) api.propagation.inject(context, headers);
    this.#open.set(message, { span, context, method, labels, startTime });
  }

  #end(message) {
    const open = this.#open.get(message);
    if (!open) return;
    const { span, context, method, labels, startTime } = open;
    const { record } = message;
    const status = record?.status ?? null;
    const failed = record === null ? whyGivenUp(message) : record.errorType;
    const told = {};
    if (status !== null) told['http.response.status_code'] = status;
    if (failed !== null) {
      told['error.type'] = failed;
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    }
    if (record?.httpVersion) told['network.protocol.version'] = record.httpVersion;
    if (record) this.#meter.duration.record(record.durationMs / 1000, { 'http.request.method': method, ...labels.attributes, ...told }, context);
    if (record?.peer) Object.assign(told, peerOf(record.peer));
    span.setAttributes(told);
    span.end(record ? startTime + record.durationMs : undefined);
  }

  /** Counts a retry, or a refusal. */
  #count({ kind, call, attempt, reason, stopReason }) {
    if (!call || (kind !== 'retry' && stopReason !== 'budget_exhausted')) return;
    const { attributes } = this.#labels.get(call) ?? this.#labelsOf(call.url || call.origin, call.name);
    if (kind !== 'retry') return this.#meter.refused.add(1, attributes);
    this.#meter.waits.record((attempt.waitMs ?? 0) / 1000, attributes);
    this.#meter.retries.add(1, { ...attributes, reason: reason || 'callback' });
  }

  /** Whom a request goes to, and what it is called: the attributes that are in everything. */
  #labelsOf(url, name) {
    const key = `${name ?? ''} ${url}`;
    const known = this.#known.get(key);
    if (known) return known;
    const place = URL.canParse(url) ? new URL(url) : null;
    const attributes = {};
    if (place?.hostname) {
      attributes['server.address'] = place.hostname.replace(/^\[|\]$/g, '');
      const port = Number(place.port) || PORTS[place.protocol];
      if (port) attributes['server.port'] = port;
    }
    if (name) attributes[place?.hostname ? 'url.template' : 'code.function.name'] = name;
    const labels = { attributes, key: Object.values(attributes).join(' '), origin: place?.hostname ? place.origin : url };
    if (this.#known.size >= MOST) this.#known.clear();
    this.#known.set(key, labels);
    return labels;
  }
}

/** What budgets have, asked when somebody wants to know. Keeps none of those who hold them. */
class Balances {
  #holders = new Set();
  #asked = new WeakMap();

  /** From now on the balance is told of what the holder has for these. */
  keep(purse, labels) {
    if (!purse) return;
    const { holder, reading } = purse;
    let asked = this.#asked.get(holder);
    if (!asked) {
      this.#asked.set(holder, (asked = new Map()));
      this.#holders.add(new WeakRef(holder));
    }
    if (asked.size < MOST && !asked.has(labels.key)) asked.set(labels.key, { labels, reading });
  }

  observe(result) {
    const least = new Map();
    for (const reference of this.#holders) {
      const holder = reference.deref();
      if (!holder) this.#holders.delete(reference);
      else for (const [key, { labels, reading }] of this.#asked.get(holder)) {
        const balance = reading(holder, labels.origin)?.balance;
        if (balance !== undefined && !(least.get(key)?.balance <= balance)) least.set(key, { balance, labels });
      }
    }
    for (const { balance, labels } of least.values()) result.observe(balance, labels.attributes);
  }
}

/** Why an attempt never ended: its call did. */
function whyGivenUp({ error }) {
  return error?.kind ?? error?.name ?? '_OTHER';
}

function peerOf(peer) {
  const at = peer.lastIndexOf(':');
  return { 'network.peer.address': peer.slice(0, at).replace(/^\[|\]$/g, ''), 'network.peer.port': Number(peer.slice(at + 1)) };
}

module.exports = { instrument, requestHook, uninstrument };
