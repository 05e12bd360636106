'use strict';

// Puts the addon that cargo built beside the package, under the name that lib/native.js looks for: node scripts/place.js DIRECTORY
const { copyFileSync, renameSync } = require('node:fs');
const path = require('node:path');
const { targets } = require('../lib/targets.js');

const built = { darwin: 'libreknock_node.dylib', win32: 'reknock_node.dll' }[process.platform] ?? 'libreknock_node.so';
const place = path.join(__dirname, '..', `reknock.${targets[0]}.node`);
// In one step: a process that has the old one loaded keeps it.
copyFileSync(path.join(process.argv[2], built), `${place}.new`);
renameSync(`${place}.new`, place);
