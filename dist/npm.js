'use strict';

// node dist/npm.js OUT BUILT: the folders of the npm packages, `reknock` without a binary and `@reknock/PLATFORM` with that of this machine.
const { cpSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { targets } = require('../node/lib/targets.js');

const [out, built] = process.argv.slice(2);
const source = path.join(__dirname, '..', 'node');
const about = JSON.parse(readFileSync(path.join(source, 'package.json'), 'utf8'));
/** All that are built for a release (release.yml); npm installs the one that fits. */
const PLATFORMS = ['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl', 'darwin-x64', 'darwin-arm64', 'win32-x64-msvc'];
const [here] = targets;

function write(folder, document) {
  writeFileSync(path.join(out, folder, 'package.json'), `${JSON.stringify(document, null, 2)}\n`);
}

// The root: what git has but the binary, and its platforms with exactly its version.
const { scripts, devDependencies, ...root } = about;
mkdirSync(path.join(out, 'reknock'), { recursive: true });
for (const name of ['README.md', 'index.js', 'index.mjs', 'index.d.ts', 'index.d.mts', 'options.d.ts', 'lib', 'bin']) {
  cpSync(path.join(source, name), path.join(out, 'reknock', name), { recursive: true });
}
write('reknock', {
  ...root,
  files: [...root.files.filter((name) => name !== '*.node'), 'LICENSE-*'],
  optionalDependencies: Object.fromEntries(PLATFORMS.map((platform) => [`@reknock/${platform}`, about.version])),
});

// This machine's.
const [os, cpu, abi] = here.split('-');
const binary = `reknock.${here}.node`;
mkdirSync(path.join(out, here));
cpSync(path.join(built, { darwin: 'libreknock_node.dylib', win32: 'reknock_node.dll' }[process.platform] ?? 'libreknock_node.so'), path.join(out, here, binary));
write(here, {
  name: `@reknock/${here}`,
  version: about.version,
  description: `The native part of reknock for ${here}`,
  license: about.license,
  engines: about.engines,
  os: [os],
  cpu: [cpu],
  ...(os === 'linux' && { libc: [abi === 'musl' ? 'musl' : 'glibc'] }),
  main: binary,
  files: ['*.node', 'LICENSE-*', 'THIRD-PARTY.md', 'sbom.cdx.json'],
});
