'use strict';

const path = require('node:path');
const { targets } = require('./targets.js');

/** The addon: built in place, or from the package for this platform. */
function load() {
  const candidates = [
    ...targets.map((target) => path.join(__dirname, '..', `reknock.${target}.node`)),
    ...targets.map((target) => `@reknock/${target}`),
  ];
  const failures = [];
  for (const candidate of candidates) {
    try {
      return require(candidate);
    } catch (error) {
      failures.push(`  ${candidate}: ${error.message.split('\n', 1)[0]}`);
    }
  }
  throw new Error(`reknock: no binary could be loaded for ${process.platform} ${process.arch}:\n${failures.join('\n')}`);
}

module.exports = load();
