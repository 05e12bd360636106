'use strict';
// Wherever a fetch is wanted ours is one, to TypeScript with the types of each Node, with and without those of browsers.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');

const folder = mkdtempSync(path.join(tmpdir(), 'reknock-types-'));
after(() => rmSync(folder, { recursive: true }));

const PROGRAM = `
import { createClient, fetch as own, retryFetch } from 'reknock';
const client = createClient();
export const all: (typeof fetch)[] = [client, client.fetch, client.asFetch(), own, retryFetch(), retryFetch(fetch, { policy: false })];
export async function seen(): Promise<number> {
  const init: RequestInit = { headers: { a: 'b' }, body: 'x', method: 'POST', credentials: 'include' };
  const { status } = await client.fetch('http://h/', init);
  return status + (await client('http://h/', { searchParams: { a: 1 } })).attempts.length;
}
`;

for (const types of ['@types/node', 'types-node-22', 'types-node-24']) {
  for (const lib of ['es2023', 'es2023,dom,dom.iterable']) {
    test(`${types}, ${lib}`, () => {
      const project = mkdtempSync(path.join(folder, 'p'));
      const modules = path.join(project, 'node_modules');
      mkdirSync(path.join(modules, '@types'), { recursive: true });
      symlinkSync(path.join(__dirname, '..', 'node_modules', types), path.join(modules, '@types', 'node'));
      symlinkSync(path.join(__dirname, '..'), path.join(modules, 'reknock'));
      writeFileSync(path.join(project, 'program.ts'), PROGRAM);
      const tsc = path.join(__dirname, '..', 'node_modules', 'typescript', 'bin', 'tsc');
      const options = ['--noEmit', '--strict', '--target', 'es2023', '--lib', lib, '--module', 'nodenext', '--types', 'node', '--skipLibCheck', 'program.ts'];
      const { status, stdout } = spawnSync(process.execPath, [tsc, ...options], { cwd: project, encoding: 'utf8' });
      assert.equal(status, 0, stdout);
    });
  }
}
