'use strict';

const { bytePiece, nameOf, tagOf, toBody } = require('./body.js');
const { checkInit } = require('./init.js');
const { shown, wrongType } = require('./errors.js');
const { pageOf } = require('./page.js');

/** What of a Request counts. */
const FETCH = ['method', 'headers', 'body', 'signal', 'redirect', 'credentials', 'duplex', 'cache', 'integrity', 'mode', 'referrer', 'referrerPolicy'];
const REDIRECTS = new Set(['follow', 'manual', 'error']);
const DELIVERIES = new Set(['auto', 'buffered', 'streamed']);
/** Methods that the platform writes in capitals, whatever their case, besides PATCH, which is ours; and those that it never sends, besides CONNECT, which nobody does. */
const CAPITALS = /^(?:get|head|post|put|delete|options|patch)$/i;
const FORBIDDEN = /^(?:trace|track)$/i;
const SIMPLE = new Set(['GET', 'HEAD', 'POST']);

/**
 * The ways to make a call. `delivery`: of its response, unless the call or the client says otherwise; `platform`: what the platform's fetch
 * refuses is refused; `lenient`: init fields that would change what is sent are passed over.
 */
const FORMS = {
  fetch: { delivery: 'auto', platform: true, lenient: false },
  asFetch: { delivery: 'auto', platform: true, lenient: true },
  request: { delivery: 'buffered', platform: false, lenient: false },
};

/** What says on the way that nobody wants an old answer, by the mode of the cache. */
const FRESH = {
  'no-cache': [['cache-control', 'max-age=0']],
  'no-store': [['pragma', 'no-cache'], ['cache-control', 'no-cache']],
};
FRESH.reload = FRESH['no-store'];
const CONDITIONS = ['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range'];

/**
 * A call from what fetch takes: `{method, url, headers, query, body, signal, redirect, credentials, integrity, page, options}`, the lists flat. `options` is the init,
 * for what is ours in it. A promise if the body of a `Request` has to be looked at.
 */
function fetchCall(input, init, form = FORMS.fetch) {
  // A Request may stand for an init; it has more than fields.
  const options = isRequest(init) ? Object.fromEntries(FETCH.map((name) => [name, init[name]])) : init ?? {};
  const request = isRequest(input) ? input : undefined;
  checkInit(options, request ?? (isRequest(init) ? init : undefined), form.lenient);
  const own = options.json !== undefined ? json(options) : toBody(options.body);
  if (own || !request?.body) return call(input, request, options, own, form);
  if (request.bodyUsed) throw wrongType('body: the Request was used before');
  return gathered(request.body, request.headers.get('content-type')).then((body) => call(input, request, options, body, form));
}

function call(input, request, options, body, form) {
  const headers = fields(options.headers ?? request?.headers, form);
  if (body?.type && !has(headers, 'content-type')) headers.push('content-type', body.type);
  for (const [name, value] of FRESH[cacheOf(options.cache ?? request?.cache, headers, form)] ?? []) if (!has(headers, name)) headers.push(name, value);
  // Of no body there is no length but that which its method has.
  if (form.platform && !body) for (let at = headers.length - 2; at >= 0; at -= 2) if (headers[at].toLowerCase() === 'content-length') headers.splice(at, 2);
  // Part of what is packed is of no use.
  if (form.platform && has(headers, 'range') && !has(headers, 'accept-encoding')) headers.push('accept-encoding', 'identity');
  // A Request that was told nothing says follow, too: the client's setting holds.
  const redirect = options.redirect ?? (request?.redirect === 'follow' ? undefined : request?.redirect);
  if (redirect !== undefined && !REDIRECTS.has(redirect)) throw wrongType(`redirect: must be follow, manual or error, got ${shown(redirect)}`);
  return {
    method: methodOf(options.method ?? request?.method ?? 'GET', body, form, options.mode ?? request?.mode),
    url: request ? request.url : `${input}`,
    headers,
    query: options.searchParams === undefined ? [] : query(options.searchParams),
    body,
    signal: signal(options.signal === undefined ? request?.signal : options.signal),
    redirect,
    credentials: options.credentials ?? request?.credentials,
    integrity: `${options.integrity ?? request?.integrity ?? ''}`,
    page: form.platform ? pageOf(options, request) : undefined,
    options,
    form,
  };
}

/** The mode of the cache: who asks with conditions has a cache of his own, so that those on the way are not to answer. */
function cacheOf(given, headers, { platform }) {
  return platform && (given ?? 'default') === 'default' && CONDITIONS.some((name) => has(headers, name)) ? 'no-store' : given;
}

function methodOf(given, body, { platform }, mode) {
  const method = CAPITALS.test(given) ? `${given}`.toUpperCase() : `${given}`;
  if (!platform) return method;
  if (FORBIDDEN.test(method)) throw wrongType(`method: ${method} is none that fetch sends`);
  if (mode === 'no-cors' && !SIMPLE.has(method)) throw wrongType(`method: ${method} is none that fetch sends if mode is 'no-cors'`);
  if (body && (method === 'GET' || method === 'HEAD')) throw wrongType(`body: ${method} has none in fetch; client.request() sends one`);
  return method;
}

/** How the response comes: as the call says, else its client, else as it is usual for the form. */
function deliveryOf({ options, form }, ofClient) {
  return ownDelivery(options) ?? ownDelivery(ofClient) ?? form.delivery;
}

/** What a call or a client says of delivery; `stream` is short for two of them. */
function ownDelivery({ delivery, stream }) {
  if (delivery !== undefined && delivery !== null) {
    if (!DELIVERIES.has(delivery)) throw wrongType(`delivery: must be 'auto', 'buffered' or 'streamed', got ${shown(delivery)}`);
    return delivery;
  }
  if (stream === undefined || stream === null) return undefined;
  if (typeof stream !== 'boolean') throw wrongType(`stream: must be true or false, got ${shown(stream)}`);
  return stream ? 'streamed' : 'buffered';
}

function isRequest(input) {
  return typeof input === 'object' && tagOf(input) === 'Request';
}

function signal(given) {
  if (given === null || given === undefined) return null;
  if (typeof given.aborted !== 'boolean' || typeof given.addEventListener !== 'function') throw wrongType(`signal: must be an AbortSignal, got ${nameOf(given)}`);
  return given;
}

function json(options) {
  if (options.body !== undefined && options.body !== null) throw wrongType('json: body is given too; there can be one');
  const text = JSON.stringify(options.json);
  if (text === undefined) throw wrongType(`json: ${nameOf(options.json)} is no JSON`);
  return { kind: 'bytes', bytes: Buffer.from(text), type: 'application/json' };
}

/** Names and values of a map or of pairs, one after the other; what is undefined or null is left out. */
function flat(given, what) {
  if (given === undefined || given === null) return [];
  if (typeof given !== 'object') throw wrongType(`${what}: must be an object or pairs, got ${nameOf(given)}`);
  const list = [];
  const pairs = typeof given[Symbol.iterator] === 'function' ? given : Object.entries(given);
  for (const pair of pairs) {
    if (typeof pair !== 'object' || pair?.length !== 2) throw wrongType(`${what}: a pair has a name and a value, got ${nameOf(pair)}`);
    if (pair[1] !== undefined && pair[1] !== null) list.push(`${pair[0]}`, `${pair[1]}`);
  }
  return list;
}

/** Header fields, one after the other, values without white space around them. Names that differ in case alone are one field, as in fetch; pairs that are for no fetch stay lines. */
function fields(given, { platform }) {
  const list = flat(given, 'headers');
  if (globalThis.Headers && given instanceof Headers) return list;
  for (let i = 0; i < list.length; i += 2) {
    list[i + 1] = byteString(list[i], list[i + 1]).replace(SPACE, '');
    if (!platform && typeof given[Symbol.iterator] === 'function') continue;
    const first = list.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === list[i].toLowerCase());
    if (first < i) {
      list[first + 1] += `${list[i].toLowerCase() === 'cookie' ? '; ' : ', '}${list[i + 1]}`;
      list.splice(i, 2);
      i -= 2;
    }
  }
  return list;
}

/** What HTTP takes for white space around a value. */
const SPACE = /^[\t\n\r ]+|[\t\n\r ]+$/g;

/** The value of a header field, whose characters are bytes. It may be a secret: it is not shown. */
function byteString(name, value) {
  if (/[^\0-\xff]/.test(value)) throw wrongType(`headers: the value of ${shown(name)} holds characters above U+00FF`);
  return value;
}

/** A query: a text, pairs, or a map whose arrays are given value by value. */
function query(given) {
  if (typeof given === 'string') return flat(new URLSearchParams(given));
  if (typeof given !== 'object' || given === null || Symbol.iterator in given) return flat(given, 'searchParams');
  const pairs = Object.entries(given).flatMap(([name, value]) => [].concat(value).map((item) => [name, item]));
  return flat(pairs, 'searchParams');
}

function has(list, name) {
  return list.some((item, i) => i % 2 === 0 && item.toLowerCase() === name);
}

/** How the platform names the boundary of a form that it made a Request of; the most that is gathered of such a form. */
const FORM = /^multipart\/form-data; boundary=-+formdata-undici-/;
const MOST = 1 << 20;

/**
 * The body of a Request whose content-type is `type`. One made of text, of bytes or of a small Blob comes in one piece within a few turns of the event loop, and
 * one made of a form has an end: they are bytes again, with a length, and can be sent again whatever their size.
 */
async function gathered(stream, type) {
  const isForm = FORM.test(type);
  const later = turns(4);
  const reader = stream.getReader();
  const pieces = [];
  let size = 0;
  while (isForm ? size <= MOST : pieces.length < 2) {
    const piece = reader.read();
    pieces.push(piece);
    const come = await (isForm ? piece : Promise.race([piece, later]));
    if (!come) break;
    if (come.done) return { kind: 'bytes', bytes: await joined(pieces.slice(0, -1)) };
    size += come.value.byteLength;
  }
  const rest = {
    ofBytes: true,
    next: () => pieces.shift() ?? reader.read(),
    return: (reason) => reader.cancel(reason),
    [Symbol.asyncIterator]: () => rest,
  };
  return toBody(rest);
}

async function turns(count) {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What was read, as one piece. */
async function joined(pieces) {
  const all = (await Promise.all(pieces)).map(({ value }) => bytePiece(value));
  return all.length === 1 ? all[0] : Buffer.concat(all);
}

module.exports = { byteString, deliveryOf, fetchCall, flat, gathered, has, isRequest, ownDelivery, query, FORMS };
