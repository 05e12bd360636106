'use strict';

// node dist/npm.js OUT BUILT TARGET: the folders of the npm packages, `reknock` without a binary and `@reknock/PLATFORM` with that of a target of rustc's.
const { cpSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const [out, built, target] = process.argv.slice(2);
const source = path.join(__dirname, '..', 'node');
const about = JSON.parse(readFileSync(path.join(source, 'package.json'), 'utf8'));
/** All that the loader knows; npm installs the one that fits. */
const loader = readFileSync(path.join(source, 'lib', 'native.js'), 'utf8');
const PLATFORMS = [...new Set([...loader.matchAll(/'@reknock\/([\w-]+)'/g)].map(([, platform]) => platform))];

function write(folder, document) {
  writeFileSync(path.join(out, folder, 'package.json'), `${JSON.stringify(document, null, 2)}\n`);
}

// The root: what the package lists but the binary, and the platforms with exactly its version.
const { scripts, devDependencies, ...root } = about;
const LEFT_OUT = ['node_modules', 'test', 'scripts', 'examples'];
mkdirSync(out, { recursive: true });
cpSync(source, path.join(out, 'reknock'), { recursive: true, filter: (from) => !LEFT_OUT.includes(path.relative(source, from)) && !from.endsWith('.node') });
write('reknock', {
  ...root,
  files: [...root.files.filter((name) => name !== '*.node'), 'LICENSE-*'],
  optionalDependencies: Object.fromEntries(PLATFORMS.map((platform) => [`@reknock/${platform}`, about.version])),
});

// The target's: `x86_64-unknown-linux-gnu` is `linux-x64-gnu`.
const [architecture, , system, abi] = target.split('-');
const cpu = { x86_64: 'x64', aarch64: 'arm64' }[architecture];
const [os, library] = { linux: ['linux', 'libreknock_node.so'], darwin: ['darwin', 'libreknock_node.dylib'], windows: ['win32', 'reknock_node.dll'] }[system];
const here = [os, cpu, abi].filter(Boolean).join('-');
if (!PLATFORMS.includes(here)) throw new Error(`${target}: the loader knows no ${here}`);
const binary = `reknock.${here}.node`;
mkdirSync(path.join(out, here));
cpSync(path.join(built, library), path.join(out, here, binary));
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
