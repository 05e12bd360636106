'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { ROOT } = require('./vectors.js');

/** Waits are short, and a test that fails often has retries left. */
const FAST = { backoff: '10ms', budget: 'none' };

let control;

/** Starts the scripted server with the first script; it ends with this process. */
async function start() {
  const program = process.env.REKNOCK_TEST_SERVER ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'debug', 'reknock-test-server');
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'error').then(([error]) => Promise.reject(error))]);
  for (const handle of [child, child.stdin, child.stdout]) handle.unref();
  return line.split(' ')[1];
}

async function ask(method, route, body) {
  const response = await fetch((await control) + route, { method, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text && JSON.parse(text);
}

/** A port that does what it is told: `serve(t, outcome, ..., {tls: 'trusted'})` (what has no `do` is for the document). */
async function serve(t, ...outcomes) {
  control ??= start();
  const script = outcomes.filter((outcome) => outcome.do);
  const { id, ...made } = await ask('POST', '/scripts', Object.assign({ script }, ...outcomes.filter((outcome) => !outcome.do)));
  t.after(() => ask('DELETE', `/scripts/${id}`));
  const state = (query = '') => ask('GET', `/scripts/${id}/log${query}`);
  return {
    ...made,
    log: async () => (await state()).arrivals,
    advance: () => ask('POST', `/scripts/${id}/advance`),
    /** The log once it, or how many connections are open, fulfils a condition: the server tells of each change, or that there was none for ten seconds. */
    async until(condition) {
      for (let before; ; ) {
        const { arrivals, changes, open } = await state(before === undefined ? '' : `?after=${before}`);
        if (condition(arrivals, open)) return arrivals;
        if (changes === before) throw new Error(`waited in vain for ${condition}: ${JSON.stringify({ arrivals, open })}`);
        before = changes;
      }
    },
  };
}

/** A promise, and what fulfils it: for what a callback tells. */
function news() {
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  return { tell, told };
}

/** The outcome of a plain response. */
function status(code, body = '', rest = {}) {
  return { do: 'status', status: code, body, ...rest };
}

const ECHO = { do: 'echo' };
const HANG = { do: 'hang' };
const NO = status(503);
const DONE = status(200, 'done');

module.exports = { FAST, news, serve, status, ECHO, HANG, NO, DONE };
