'use strict';

/** What binaries for this machine are called: one per C library where there are several. */
const ABIS = { linux: ['-gnu', '-musl'], win32: ['-msvc'] };
const targets = (ABIS[process.platform] ?? ['']).map((abi) => `${process.platform}-${process.arch}${abi}`);

module.exports = { targets };
