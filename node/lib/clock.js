'use strict';

/** Milliseconds on the host's monotonic clock, the one that clients count by: budgets may be shared with them. */
const monotonicNow = () => Number(process.hrtime.bigint()) / 1e6;

module.exports = { monotonicNow };
