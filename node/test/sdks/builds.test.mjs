// Programs built by bundlers find the addon: each with the one line it needs, if it needs one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
mkdirSync(path.join(here, 'out'), { recursive: true });
const folder = mkdtempSync(path.join(here, 'out', 'b'));
after(() => rmSync(path.join(here, 'out'), { recursive: true }));

const entry = path.join(folder, 'program.mjs');
writeFileSync(entry, "import { createClient, Policy } from 'reknock';\nconsole.log(typeof createClient().fetch, new Policy({ maxRetries: 7 }).toJSON().max_retries);\n");
const run = (file) => assert.equal(execFileSync(process.execPath, [file], { encoding: 'utf8' }), 'function 7\n');

test('esbuild: loader .node as copy', async () => {
  const { build } = await import('esbuild');
  const outdir = path.join(folder, 'esbuild');
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'cjs', outdir, outExtension: { '.js': '.cjs' }, loader: { '.node': 'copy' }, logLevel: 'error' });
  run(path.join(outdir, 'program.cjs'));
});

test('esbuild: external', async () => {
  const { build } = await import('esbuild');
  const outfile = path.join(folder, 'external.mjs');
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile, external: ['reknock'], logLevel: 'error' });
  run(outfile);
});

test('rollup: external', async () => {
  const { rollup } = await import('rollup');
  const bundle = await rollup({ input: entry, external: ['reknock'] });
  const file = path.join(folder, 'rollup.mjs');
  await bundle.write({ file, format: 'es' });
  await bundle.close();
  run(file);
});

test('webpack: externals', async () => {
  const { default: webpack } = await import('webpack');
  const output = { path: folder, filename: 'webpack.cjs' };
  const stats = await new Promise((resolve, reject) => {
    webpack({ mode: 'production', target: 'node', entry, output, externals: { reknock: 'commonjs reknock' } }, (error, done) => (error ? reject(error) : resolve(done)));
  });
  assert.deepEqual(stats.toJson({ errors: true }).errors, []);
  run(path.join(folder, 'webpack.cjs'));
});

test('vite: ssr.external', async () => {
  const { build } = await import('vite');
  const outDir = path.join(folder, 'vite');
  await build({ root: folder, configFile: false, logLevel: 'error', ssr: { external: ['reknock'] }, build: { ssr: entry, outDir } });
  run(path.join(outDir, 'program.mjs'));
});
