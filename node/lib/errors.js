'use strict';

/** What a call, a policy or a client fails with. What it says comes from the core. */
class ReknockError extends Error {
  #parts;

  constructor(message, parts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.#parts = parts;
    this.kind = parts.kind;
    this.code = `REKNOCK_${parts.kind}`.toUpperCase();
    if (parts.status != null) this.status = parts.status;
  }

  /** What was sent, in order. */
  get attempts() {
    return this.#parts.attempts ?? [];
  }

  /** Why nothing further was sent; null when nothing was tried. */
  get stopReason() {
    return this.#parts.stopReason ?? null;
  }

  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain() {
    return this.#parts.explain?.() ?? '';
  }
}
Object.defineProperty(ReknockError.prototype, 'name', { value: 'ReknockError', configurable: true, writable: true });

/** The error for one of the core's: kind, message, status, attempts, stopReason, explain, and its cause as an error or a text. */
function fromNative(parts) {
  const { cause } = parts;
  return new ReknockError(parts.message, {
    kind: parts.kind,
    status: parts.status,
    stopReason: parts.stopReason,
    get attempts() {
      return parts.attempts;
    },
    explain: () => parts.explain?.() ?? '',
    cause: typeof cause === 'string' ? new Error(cause) : cause ?? undefined,
  });
}

/** An argument that is not what JavaScript's own fetch would take either. */
function wrongType(message) {
  return new TypeError(message);
}

module.exports = { ReknockError, fromNative, wrongType };
