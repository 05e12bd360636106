'use strict';
// What failures of other clients mean: kinds and evidence by classes and codes, never by the text of a message. Unknown unless one of them proves it.

const NOT_SENT = 'not_sent';
const REFUSED = 'refused';
const UNKNOWN = 'unknown';

const of = (kind, evidence, ...codes) => codes.map((code) => [code, { error: kind, evidence }]);

/** A body, or the head of a response, whose lengths do not agree. */
const LENGTHS = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';

const CODES = new Map([
  ...of('connect', NOT_SENT, 'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EHOSTDOWN', 'ENETDOWN', 'ConnectionRefused', 'FailedToOpenSocket'),
  ...of('connect_timeout', NOT_SENT, 'UND_ERR_CONNECT_TIMEOUT'),
  ...of(
    'tls', NOT_SENT,
    'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_REVOKED', 'CERT_REJECTED', 'CERT_UNTRUSTED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID',
  ),
  ...of('reset', UNKNOWN, 'ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET', 'ERR_STREAM_PREMATURE_CLOSE', 'ConnectionClosed'),
  ...of('per_try_timeout', UNKNOWN, 'UND_ERR_HEADERS_TIMEOUT', 'ETIMEDOUT', 'ESOCKETTIMEDOUT'),
  ...of('body', UNKNOWN, 'UND_ERR_BODY_TIMEOUT'),
  ...of('body', UNKNOWN, LENGTHS),
  ...of('response_too_large', UNKNOWN, 'UND_ERR_RES_EXCEEDED_MAX_SIZE'),
  ...of('invalid_request', NOT_SENT, 'UND_ERR_INVALID_ARG', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'ERR_INVALID_URL'),
]);

/** Those that say it by their name alone. */
const NAMES = { HTTPParserError: { error: 'protocol', evidence: UNKNOWN } };

/** A failure of a system call that made a connection proves that nothing was sent, whatever it is. */
const CONNECTING = { ETIMEDOUT: 'connect_timeout', ECONNRESET: 'connect', EACCES: 'connect', EPERM: 'connect' };
const MOST = 8;

/** The errors of a failure: itself, what it came of, and what AggregateErrors hold first. */
function* chain(error) {
  for (let found = error, left = MOST; found !== null && typeof found === 'object' && left > 0; left--) {
    yield found;
    found = found.cause ?? found.errors?.[0];
  }
}

/** What a failure of another client says of itself: `{error, evidence}`; undefined if it is none of HTTP that is known. */
function failureOf(error) {
  for (const found of chain(error)) {
    const { code, syscall } = found;
    // One of ours, by whatever copy of the package.
    if (typeof found.kind === 'string' && typeof found.explain === 'function' && `${code}`.startsWith('REKNOCK_')) {
      // Its attempts are one here: the least that is proved of any of them.
      const proved = found.attempts?.map((attempt) => attempt.evidence) ?? [];
      return { error: found.kind, evidence: [UNKNOWN, REFUSED, NOT_SENT].find((least) => proved.includes(least)) ?? UNKNOWN };
    }
    if (syscall === 'connect' && CONNECTING[code]) return { error: CONNECTING[code], evidence: NOT_SENT };
    if (NAMES[found.name]) return NAMES[found.name];
    if (typeof code !== 'string') continue;
    if (CODES.has(code)) return CODES.get(code);
    if (code.startsWith('HPE_')) return { error: 'protocol', evidence: UNKNOWN };
  }
  return undefined;
}

/** The same of what came in place of a response: there, lengths that contradict each other are the head's (Node 20 says so itself, 22 and later do not). */
function failureOfHead(error) {
  const found = failureOf(error);
  return found === CODES.get(LENGTHS) ? { ...found, error: 'protocol' } : found;
}

/** What a record calls a failure. */
function className(error) {
  return (error !== null && typeof error === 'object' && error.constructor?.name) || (error instanceof Error ? error.name : typeof error);
}

/** Whether a response came after redirects that its client followed. */
function hasFollowed({ redirected, attempts }) {
  return redirected === true || (Array.isArray(attempts) && attempts.some((attempt) => attempt.hop > 0));
}

/** The status and the header fields, once somebody asks for them, of something that a client returned or threw; undefined if it has none. */
function responseOf(thing) {
  if (thing === null || typeof thing !== 'object') return undefined;
  for (const holder of [thing, thing.response, thing.$response, thing.res]) {
    const status = holder?.status ?? holder?.statusCode;
    if (Number.isInteger(status) && status >= 100 && status <= 999) return { status, headers: () => fields(holder.headers), followed: hasFollowed(holder) };
  }
  return undefined;
}

/** Header fields in any of the forms that clients have. */
function fields(given) {
  if (given === null || given === undefined || typeof given !== 'object') return [];
  const pairs = typeof given[Symbol.iterator] === 'function' ? [...given] : Object.entries(given);
  return pairs.filter((pair) => pair?.length === 2).flatMap(([name, value]) => [].concat(value).map((item) => [`${name}`, `${item}`]));
}

module.exports = { className, failureOf, failureOfHead, fields, responseOf };
