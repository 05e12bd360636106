'use strict';
// The package as others get it: packed, installed into an empty project, used from everywhere.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { serve, DONE, NO } = require('./support/server.js');

const HERE = path.join(__dirname, '..');
let project;

function run(file, ...rest) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(project, file), ...rest], { cwd: project, encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

function write(file, text) {
  mkdirSync(path.dirname(path.join(project, file)), { recursive: true });
  writeFileSync(path.join(project, file), text);
}

before(() => {
  project = mkdtempSync(path.join(tmpdir(), 'reknock-project-'));
  const npm = (folder, ...rest) => execFileSync('npm', rest, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [{ filename }] = JSON.parse(npm(HERE, 'pack', '--json', '--pack-destination', project));
  write('package.json', '{"name": "empty", "private": true}');
  npm(project, 'install', '--offline', '--no-audit', '--no-fund', `./${filename}`);
});

after(() => rmSync(project, { recursive: true }));

test('holds what it needs and nothing else', () => {
  const files = readdirSync(path.join(project, 'node_modules', 'reknock'), { recursive: true }).map((file) => file.replaceAll(path.sep, '/'));
  for (const needed of ['index.js', 'index.mjs', 'index.d.ts', 'index.d.mts', 'options.d.ts', 'README.md', 'ADAPTERS.md', 'telemetry.d.ts', 'lib/telemetry.js', 'package.json', 'lib/client.js', 'bin/reknock.js']) {
    assert.ok(files.includes(needed), `${needed} is missing of ${files}`);
  }
  assert.equal(files.filter((file) => file.endsWith('.node')).length, 1);
  assert.deepEqual(files.filter((file) => /\btests?\b|script|example|tsconfig|\.rs$|\.toml$|INTERNAL/.test(file)), []);
});

test('import and require give the same things', () => {
  write('both.mjs', `
    import reknock, * as names from 'reknock';
    import { createRequire } from 'node:module';
    const required = createRequire(import.meta.url)('reknock');
    const { default: _, ...imported } = names;
    const all = Object.keys(required);
    console.log(all.length > 5 && all.length === Object.keys(imported).length, all.every((name) => imported[name] === required[name] && reknock[name] === required[name]));
    console.log(imported.createClient().policy instanceof required.Policy);
  `);
  assert.deepEqual(run('both.mjs'), { status: 0, stdout: 'true true\ntrue\n', stderr: '' });
});

test('works from ESM and from CommonJS', async (t) => {
  const { url } = await serve(t, NO, DONE, NO, DONE);
  const body = `fetch(${JSON.stringify(url)}, { policy: { backoff: '1ms' } }).then(async (response) => console.log(response instanceof Response, await response.text(), response.attempts.length));`;
  write('esm.mjs', `import { fetch } from 'reknock';\n${body}`);
  write('cjs.cjs', `const { fetch } = require('reknock');\n${body}`);
  for (const file of ['esm.mjs', 'cjs.cjs']) assert.deepEqual(run(file), { status: 0, stdout: 'true done 2\n', stderr: '' });
});

test('works from TypeScript, as ESM and as CommonJS', async (t) => {
  const { url } = await serve(t, DONE);
  // The compiler and the types of Node come from here; the package does not.
  mkdirSync(path.join(project, 'node_modules', '@types'), { recursive: true });
  symlinkSync(path.join(HERE, 'node_modules', '@types', 'node'), path.join(project, 'node_modules', '@types', 'node'));
  symlinkSync(path.join(HERE, 'node_modules', 'undici-types'), path.join(project, 'node_modules', 'undici-types'));
  const program = (imported) => `
    ${imported}
    const client: Client = createClient({ policy: { maxRetries: 1 } });
    client(${JSON.stringify(url)}).then(async (response: RetryResponse) => {
      const first: number | undefined = response.attempts[0]?.durationMs;
      console.log(await response.text(), typeof first);
    });
  `;
  write('src/esm.mts', program("import { createClient, type Client, type RetryResponse } from 'reknock';"));
  write('src/cjs.cts', program("import reknock = require('reknock');\nimport type { Client, RetryResponse } from 'reknock';\nconst { createClient } = reknock;"));
  const options = { strict: true, target: 'es2022', module: 'nodenext', outDir: 'out', skipLibCheck: false, types: ['node'] };
  write('tsconfig.json', JSON.stringify({ compilerOptions: options, include: ['src'] }));
  const tsc = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', project], { cwd: project, encoding: 'utf8' });
  assert.equal(tsc.stdout, '');
  assert.equal(tsc.status, 0);
  for (const file of ['out/esm.mjs', 'out/cjs.cjs']) assert.deepEqual(run(file), { status: 0, stdout: 'done number\n', stderr: '' });
});

test('telemetry without the API of OpenTelemetry says what to install; with it, it goes', () => {
  const program = "import { instrument } from 'reknock/telemetry';\ntry { console.log(instrument()); } catch (error) { console.log(error.message); }";
  write('telemetry.mjs', program);
  assert.equal(run('telemetry.mjs').stdout, 'reknock/telemetry needs the package @opentelemetry/api: npm install @opentelemetry/api\n');
  const modules = path.join(project, 'node_modules', '@opentelemetry');
  mkdirSync(modules);
  cpSync(path.join(HERE, 'node_modules', '@opentelemetry', 'api'), path.join(modules, 'api'), { recursive: true });
  assert.deepEqual(run('telemetry.mjs'), { status: 0, stdout: 'undefined\n', stderr: '' });
});

test('the command', async (t) => {
  const { url } = await serve(t, DONE);
  const bin = path.join('node_modules', '.bin', 'reknock');
  const { status, stdout, stderr } = run(bin, 'get', url);
  assert.deepEqual([status, stdout], [0, 'done']);
  assert.match(stderr, /^200 OK\nGET http.*\n.*#1 200/);
  write('policy.yaml', 'max_retries: 3\n');
  assert.match(run(bin, 'explain', 'policy.yaml').stdout, /^worst case: 4 attempts/m);
});

test('what cannot be loaded is named, each with its own reason', () => {
  const copy = path.join(project, 'copy');
  cpSync(path.join(HERE, 'lib'), path.join(copy, 'lib'), { recursive: true });
  const load = () => spawnSync(process.execPath, ['-e', `require(${JSON.stringify(path.join(copy, 'lib', 'native.js'))})`], { encoding: 'utf8' }).stderr;
  const missing = load();
  assert.match(missing, new RegExp(`reknock: .*${process.platform} ${process.arch}`));
  const { targets } = require('../lib/targets.js');
  for (const target of targets) {
    assert.match(missing, new RegExp(`reknock\\.${target}\\.node: `));
    assert.match(missing, new RegExp(`@reknock/${target}: Cannot find module`));
  }
  writeFileSync(path.join(copy, `reknock.${targets[0]}.node`), 'no library');
  const broken = load();
  assert.match(broken, new RegExp(`reknock\\.${targets[0]}\\.node: (?!Cannot find module).+`));
});
