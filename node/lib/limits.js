'use strict';

const clock = require('./clock.js');
const { ReknockError } = require('./errors.js');
const { follow, unfollow } = require('./signals.js');

const TEXTS = {
  deadline: 'the call did not end within timeout; raise timeout to allow more',
  per_try_timeout: 'the attempt did not end within per_try_timeout',
};

/**
 * Runs an attempt for as long as its limits, those of the call, and a signal allow, whatever it makes of the signal that it is given. `ended(error)` is the
 * error of one whose time was over.
 */
async function limited(attempt, signal, run, ended = (error) => error) {
  const { perTryTimeout, remaining } = attempt.limits;
  const [limit, kind] = perTryTimeout !== null && perTryTimeout < (remaining ?? Infinity) ? [perTryTimeout, 'per_try_timeout'] : [remaining, 'deadline'];
  const control = new AbortController();
  const end = {};
  const over = new Promise((_, reject) => {
    end.abort = (reason) => (reject(reason), control.abort(reason));
  });
  over.catch(() => {});
  const fire = () => end.abort(ended(new ReknockError({ kind, message: TEXTS[kind] })));
  const stop = limit === null ? () => {} : clock.timer(limit, fire);
  if (signal) follow(signal, end);
  attempt.signal = signal ? AbortSignal.any([signal, control.signal]) : control.signal;
  try {
    return await Promise.race([run(), over]);
  } finally {
    stop();
    if (signal) unfollow(signal, end);
  }
}

module.exports = { limited };
