'use strict';

const { getSystemErrorName } = require('node:util');

/** What a call, a policy or a client fails with. What it says comes from the core. */
class ReknockError extends Error {
  #timeline;

  constructor({ kind, message, status, attempts, stopReason, explain, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.#timeline = explain;
    this.kind = kind;
    this.code = `REKNOCK_${kind}`.toUpperCase();
    if (status !== undefined && status !== null) this.status = status;
    this.stopReason = stopReason ?? null;
    // Not enumerable: printed, it would drown the message.
    Object.defineProperty(this, 'attempts', { value: Object.freeze(attempts ?? []) });
  }

  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain() {
    return this.#timeline ?? '';
  }
}
Object.defineProperty(ReknockError.prototype, 'name', { value: 'ReknockError', configurable: true, writable: true });

/** The error for one of the core's. Its cause is an error of ours or of the caller's, or a text, with the system's number if it has one. */
function fromNative({ cause, errno, ...parts }) {
  return new ReknockError({ ...parts, cause: typeof cause === 'string' ? ofSystem(cause, errno) : cause ?? undefined });
}

/** As Node's own errors: `code` is 'ENOENT'. */
function ofSystem(text, errno) {
  const error = new Error(text);
  if (errno > 0) Object.assign(error, { errno: -errno, code: getSystemErrorName(-errno) });
  return error;
}

/** An argument that is not what JavaScript's own fetch would take either. */
function wrongType(message) {
  return new TypeError(message);
}

module.exports = { ReknockError, fromNative, wrongType };
