'use strict';

const { nameOf, toBody } = require('./body.js');
const { wrongType } = require('./errors.js');

/** What of a call's init is honoured: fetch's fields, and ours. */
const FETCH = ['method', 'headers', 'body', 'signal', 'redirect', 'duplex'];
const OURS = ['json', 'searchParams', 'policy', 'timeout', 'retryIf', 'delay', 'beforeRetry', 'onEvent', 'withBody', 'stream', 'throwHttpErrors'];
const KNOWN = new Set([...FETCH, ...OURS]);
const REDIRECTS = new Set(['follow', 'manual', 'error']);

/**
 * A call from what fetch takes: `{method, url, headers, query, body, signal, redirect, options}`, the lists flat. `options` is the init,
 * for what is ours in it. A promise if the body of a `Request` has to be looked at.
 */
function fetchCall(input, init) {
  // A Request may stand for an init; it has more than fields.
  const options = isRequest(init) ? Object.fromEntries(FETCH.map((name) => [name, init[name]])) : init ?? {};
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw wrongType(unknown(name));
  const request = isRequest(input) ? input : undefined;
  const own = options.json !== undefined ? json(options) : toBody(options.body);
  if (own || !request?.body) return call(input, request, options, own);
  if (request.bodyUsed) throw wrongType('body: the Request was used before');
  return gathered(request.body).then((body) => call(input, request, options, body));
}

function call(input, request, options, body) {
  const headers = fields(options.headers ?? request?.headers);
  if (body?.type && !has(headers, 'content-type')) headers.push('content-type', body.type);
  // A Request that was told nothing says follow, too: the client's setting holds.
  const redirect = options.redirect ?? (request?.redirect === 'follow' ? undefined : request?.redirect);
  if (redirect !== undefined && !REDIRECTS.has(redirect)) throw wrongType(`redirect: must be follow, manual or error, got ${redirect}`);
  return {
    method: `${options.method ?? request?.method ?? 'GET'}`,
    url: request ? request.url : `${input}`,
    headers,
    query: options.searchParams === undefined ? [] : query(options.searchParams),
    body,
    signal: signal(options.signal === undefined ? request?.signal : options.signal),
    redirect,
    options,
  };
}

function unknown(name) {
  return `init: ${name} is not supported; what is: ${[...KNOWN].join(', ')}`;
}

function isRequest(input) {
  return typeof input === 'object' && input?.[Symbol.toStringTag] === 'Request';
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

/** Header fields, one after the other. Names of an object that differ in case alone are one field, as in fetch. */
function fields(given) {
  const list = flat(given, 'headers');
  const isObject = given && typeof given[Symbol.iterator] !== 'function';
  for (let i = 0; i < list.length; i += 2) {
    byteString(list[i], list[i + 1]);
    if (!isObject) continue;
    const first = list.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === list[i].toLowerCase());
    if (first < i) {
      list[first + 1] += `, ${list[i + 1]}`;
      list.splice(i, 2);
      i -= 2;
    }
  }
  return list;
}

/** The value of a header field, whose characters are bytes. It may be a secret: it is not shown. */
function byteString(name, value) {
  if (/[^\0-\xff]/.test(value)) throw wrongType(`headers: the value of ${name} holds characters above U+00FF`);
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

/**
 * The body of a Request. One made of a text or of bytes comes in one piece before the next turn of the event loop: it is bytes again,
 * with a length, and can be sent again whatever its size.
 */
async function gathered(stream) {
  const later = new Promise((resolve) => setImmediate(resolve));
  const reader = stream.getReader();
  const pieces = [];
  while (pieces.length < 2) {
    const piece = reader.read();
    pieces.push(piece);
    const come = await Promise.race([piece, later]);
    if (come?.done) return { kind: 'bytes', bytes: pieces.length > 1 ? (await pieces[0]).value : new Uint8Array() };
    if (!come) break;
  }
  const rest = {
    next: () => pieces.shift() ?? reader.read(),
    return: (reason) => reader.cancel(reason),
    [Symbol.asyncIterator]: () => rest,
  };
  return toBody(rest);
}

module.exports = { byteString, fetchCall, flat, has };
