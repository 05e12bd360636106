'use strict';
// What `node:diagnostics_channel` is told of calls, attempts and events. Where nobody subscribes nothing is made, and the core is asked nothing more.

const { channel, tracingChannel } = require('node:diagnostics_channel');
const { ReknockError, wrongType } = require('./errors.js');

const calls = tracingChannel('reknock:call');
const attempts = tracingChannel('reknock:attempt');
const events = channel('reknock:event');
const STEPS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'];
const OF_ATTEMPTS = STEPS.map((step) => attempts[step]);
const OF_CALLS = [events, ...STEPS.map((step) => calls[step])];

const NAME = /^[!#$%&'*+.^_`|~\w-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;

/** Whose budget a call asks, by its message: `{holder, reading(holder, origin)}`. For telemetry, which keeps nobody's client alive. */
const purses = new WeakMap();

function heard(channels) {
  for (const one of channels) if (one.hasSubscribers) return true;
  return false;
}

/** One call that somebody watches. Publishes in the order of the platform's `tracePromise`. */
class Watch {
  #message;
  /** The message of the attempt that is under way. */
  #attempt = null;
  #asks = heard(OF_ATTEMPTS);

  /** `call`: whose it is. `purse`: its budget. `adapter`: whether somebody else sends it. */
  constructor(call, purse, adapter) {
    this.#message = { call, adapter, attempts: null, stopReason: null };
    purses.set(this.#message, purse);
  }

  /** The watch of a call that is made now; null if nobody watches. */
  static of(made) {
    return heard(OF_ATTEMPTS) || heard(OF_CALLS) ? new Watch(...made()) : null;
  }

  /** Makes the call. */
  async call(send) {
    const message = this.#message;
    try {
      return await started(calls, message, send);
    } catch (error) {
      message.error = error;
      // What ended the call ended its attempt, which was not told of before it.
      this.ended(null, error);
      calls.error.publish(message);
      throw error;
    } finally {
      over(calls, message);
    }
  }

  /** The callbacks of a client's call, and what the watch has to be told besides. */
  hooks(hooks) {
    const beforeAttempt = ({ attempt, method, target }) => this.#begins(attempt, method, target, {}, fitting);
    return { ...hooks, onEvent: (event) => this.told(event, hooks.onEvent), ...(this.#asks && { beforeAttempt }) };
  }

  /** An adapter makes an attempt; `takesFields`: it can send header fields besides. */
  attempt(record, takesFields, send) {
    const { method, url } = this.#message.call;
    return this.#asks ? this.#begins(record, method, url, takesFields ? {} : null, (fields) => send(fitting(fields))) : send(null);
  }

  #begins({ number, hop }, method, url, headers, run) {
    const { call, adapter } = this.#message;
    this.#attempt = { call, adapter, number, hop, method, url, headers, record: null };
    purses.set(this.#attempt, purses.get(this.#message));
    return started(attempts, this.#attempt, () => run(headers));
  }

  /** An attempt is over. */
  ended(record, error) {
    const message = this.#attempt;
    if (message === null) return;
    this.#attempt = null;
    message.record = record;
    if (error !== undefined) {
      message.error = error;
      attempts.error.publish(message);
    }
    over(attempts, message);
  }

  /** Something happened: that is for the channel and for whom the call's options name. */
  told(event, onEvent) {
    const { call } = this.#message;
    // One object for all that is told of a call.
    if (event.call) event.call = call;
    if (event.kind === 'attempt_end') this.ended(event.attempt, failure(event, call));
    if (event.kind === 'end') Object.assign(this.#message, { attempts: event.attempts, stopReason: event.stopReason });
    events.publish(event);
    onEvent?.(event);
  }
}

/** What an attempt of a client failed with. */
function failure({ attempt, text }, call) {
  return attempt.error === null ? undefined : new ReknockError({ kind: attempt.error, message: text, status: attempt.status, attempts: [attempt], call });
}

/** The header fields that subscribers gave, but for what is none: their mistakes fail no call, they go where uncaught errors go. */
function fitting(headers) {
  if (headers === null) return null;
  const fields = {};
  for (const [name, value] of Object.entries(headers)) {
    if (NAME.test(name) && VALUE.test(value)) fields[name] = `${value}`;
    else {
      process.nextTick(() => {
        throw wrongType(`reknock:attempt: ${name} is no header field, or its value is none`);
      });
    }
  }
  return fields;
}

function started(channels, message, run) {
  return channels.start.runStores(message, () => {
    try {
      return run();
    } finally {
      channels.end.publish(message);
    }
  });
}

function over(channels, message) {
  channels.asyncStart.publish(message);
  channels.asyncEnd.publish(message);
}

module.exports = { purses, Watch };
