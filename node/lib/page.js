'use strict';

/** Where undici's `setGlobalOrigin` puts the URL of the page that a program stands for: the platform's fetch looks there. */
const PAGE = Symbol.for('undici.globalOrigin.1');
/** What an init may hold. With any of it a Request is remade, and forgets whom it refers to. */
const INIT = ['method', 'headers', 'body', 'referrer', 'referrerPolicy', 'mode', 'credentials', 'cache', 'redirect', 'integrity', 'keepalive', 'signal', 'window', 'duplex', 'priority', 'dispatcher'];
/** The page itself, as Requests name it. */
const ITSELF = 'about:client';

/** The URL of the page, undefined if there is none. */
function page() {
  return globalThis[PAGE]?.href;
}

/** A URL that may be relative to the page. */
function absolute(url) {
  const base = page();
  return base !== undefined && URL.canParse(url, base) ? new URL(url, base).href : url;
}

/** What a call tells of where it comes from, as the addon takes it: `[page, referrer, policy, mode]`. Undefined of most, which tell nothing. */
function pageOf(options, request) {
  const url = page();
  const mode = options.mode ?? request?.mode;
  let { referrer, referrerPolicy } = options;
  if (request !== undefined && !INIT.some((name) => options[name] !== undefined)) ({ referrer, referrerPolicy } = request);
  referrer ??= ITSELF;
  if (url === undefined && mode !== 'same-origin' && (referrer === ITSELF || referrer === '')) return undefined;
  return [url ?? '', `${referrer}`, `${referrerPolicy ?? ''}`, `${mode ?? ''}`];
}

module.exports = { absolute, page, pageOf };
