'use strict';

const { guard } = require('./guard.js');

/** The cookies of a client: what servers have set, and what was set by hand. */
class Cookies {
  #native;

  constructor(native) {
    this.#native = native;
  }

  /** The value of a cookie; if several domains or paths have it, that of the first. Undefined if there is none. */
  get(name) {
    return this.list().find((cookie) => cookie.name === name)?.value;
  }

  /** Sets a cookie without a domain: it goes along to whatever origin a call names, not to where redirects lead it. */
  set(name, value) {
    guard(() => this.#native.setCookie(`${name}`, `${value}`));
  }

  /** Takes a `Set-Cookie` line as if `url` had answered with it; false if the rules refuse it, or it takes a cookie away. */
  store(url, line) {
    return guard(() => this.#native.storeCookie(`${url}`, `${line}`));
  }

  /** What a request to `url` carries: the value of its `cookie` header; null if there is nothing. */
  header(url) {
    return guard(() => this.#native.cookieHeader(`${url}`)) ?? null;
  }

  /** All of them: `{name, value, domain, path}`, the domain null for one that was set without. */
  list() {
    return this.#native.cookies().map(([name, value, domain, path]) => ({ name, value, domain: domain || null, path }));
  }

  /** Takes all cookies away. */
  clear() {
    this.#native.clearCookies();
  }
}

module.exports = { Cookies };
