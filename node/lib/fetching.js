'use strict';
// Retries around somebody else's fetch: it sends, the policy decides.

const clock = require('./clock.js');
const { tagOf } = require('./body.js');
const { ofFetch, wrongType } = require('./errors.js');
const { failureOfHead } = require('./failures.js');
const { gathered, isRequest } = require('./input.js');
const { limited } = require('./limits.js');
const { labelOf, loop, optionsOf, over } = require('./loop.js');
const { page } = require('./page.js');

/** Bodies that can be passed on again as they are. */
const AGAIN = new Set(['Blob', 'FormData', 'URLSearchParams']);
/** The most of a dropped response that is read so that its connection can be used again, and the longest that may take. */
const DRAIN = [64 * 1024, 50];

/**
 * A fetch that retries under a policy and sends by `fetch`: by default whatever the global one is when it is called. Takes what that takes; all of an
 * init goes along untouched but for `reknock`, which is this call's options, and the signal.
 */
function retryFetch(fetch, options) {
  // It may be left out.
  if (typeof fetch === 'object' && fetch !== null && options === undefined) return retryFetch(undefined, fetch);
  if (fetch !== undefined && fetch !== null && typeof fetch !== 'function') throw wrongType(`retryFetch: fetch must be a function, got ${typeof fetch}`);
  const own = optionsOf(options, 'retryFetch');
  return async function retrying(input, init) {
    return fetchUnder(over(own, init?.reknock, 'init.reknock'), fetch ?? globalThis.fetch, input, init);
  };
}

async function fetchUnder(options, fetch, input, init) {
  const { reknock, ...rest } = init ?? {};
  const request = isRequest(input) ? input : undefined;
  const method = `${rest.method ?? request?.method ?? 'GET'}`.toUpperCase();
  const url = request?.url ?? `${input}`;
  const headers = rest.headers ?? request?.headers;
  const signal = rest.signal === undefined ? request?.signal : rest.signal ?? undefined;
  signal?.throwIfAborted();
  const { replayable, args } = await sendable(input, request, rest);
  let shown = request;
  const call = {
    options, method, url, signal, replayable, takesFields: true,
    failureOf: failureOfHead,
    origin: originOf(url) ?? labelOf(options),
    headers: headers && [...new Headers(headers)],
    get request() {
      return (shown ??= { method, url, headers: new Headers(headers) });
    },
  };
  return loop(call, (attempt, lines) => sent(call, fetch, args, attempt, lines), drop);
}

/** Undefined of what is no URL. */
function originOf(url) {
  try {
    return new URL(url, page()).origin;
  } catch {
    return undefined;
  }
}

/**
 * What the attempts are made of: `args` gives fetch's arguments. Bodies that can be read once are sent once; that of a Request is gathered, so that one
 * that was made of text or bytes can be sent again.
 */
async function sendable(input, request, init) {
  if (init.body !== undefined && init.body !== null) {
    return { replayable: () => isReplayable(init.body), args: () => [input, { ...init }] };
  }
  if (!request?.body) return { replayable: () => true, args: () => [input, { ...init }] };
  if (request.bodyUsed) throw wrongType('body: the Request was used before');
  const body = await gathered(request.body, request.headers.get('content-type'));
  if (body.kind === 'bytes') return { replayable: () => true, args: () => [request.url, { ...ofRequest(request), ...init, body: body.bytes }] };
  const stream = ReadableStream.from ? ReadableStream.from(pieces(body)) : pieces(body);
  return { replayable: () => false, args: () => [request.url, { ...ofRequest(request), ...init, body: stream, duplex: 'half' }] };
}

function isReplayable(body) {
  return typeof body !== 'object' || ArrayBuffer.isView(body) || body instanceof ArrayBuffer || AGAIN.has(tagOf(body));
}

/** What of a Request an init says. */
function ofRequest({ method, headers, redirect, credentials, cache, mode, integrity, referrer, referrerPolicy, keepalive, signal }) {
  return { method, headers, redirect, credentials, cache, mode, integrity, referrer, referrerPolicy, keepalive, signal };
}

async function* pieces(body) {
  try {
    for (let piece; (piece = await body.next()) !== undefined; ) yield piece;
  } finally {
    await body.cancel();
  }
}

/** Makes an attempt. */
function sent({ signal }, fetch, args, attempt, lines) {
  const [input, init] = args();
  if (lines.length > 0) {
    init.headers = new Headers(init.headers ?? (isRequest(input) ? input.headers : undefined));
    for (const [name, value] of lines) init.headers.set(name, value);
  }
  return limited(attempt, signal, () => fetch(input, Object.assign(init, { signal: attempt.signal })), ofFetch);
}

/** Frees what a response holds that nobody wants: small bodies are read, so that the connection is kept. */
async function drop({ body, headers }) {
  if (!body || body.locked) return;
  const isSmall = Number(headers?.get('content-length') ?? NaN) <= DRAIN[0];
  // Of a stream of Node's (node-fetch).
  if (typeof body.getReader !== 'function') return isSmall ? void body.resume?.() : void body.destroy?.();
  if (!isSmall) {
    body.cancel().catch(() => {});
    return;
  }
  const reader = body.getReader();
  const stop = clock.timer(DRAIN[1], () => reader.cancel().catch(() => {}));
  try {
    while (!(await reader.read()).done);
  } catch {
    // It was not wanted.
  } finally {
    stop();
  }
}

module.exports = { retryFetch };
