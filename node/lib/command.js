'use strict';

// `npx reknock`: one call and the timeline of its attempts; all other commands are the core's.

const { readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');
const { createClient } = require('./client.js');
const { ReknockError } = require('./errors.js');
const { commandHelp, commandRun, version } = require('./native.js');
const { PolicySet } = require('./policy.js');

const PROGRAM = 'reknock';

const GET = {
  method: { type: 'string', short: 'X' },
  header: { type: 'string', short: 'H', multiple: true, default: [] },
  data: { type: 'string', short: 'd' },
  policy: { type: 'string' },
  json: { type: 'boolean', default: false },
};

/** Runs a command line; sets the exit status. */
async function main(argv) {
  // Where nobody reads on it ends as a program that SIGPIPE ends.
  process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 141 : complain(`stdout: ${error.message}`)));
  process.stderr.on('error', () => {});
  process.exitCode = await run(argv);
}

async function run([command, ...rest]) {
  if (command === '--version') return print(`reknock ${version()}\n`);
  if (command === '--help' || command === '-h') return print(commandHelp(PROGRAM));
  const finished = commandRun(PROGRAM, command === undefined ? [] : [command, ...rest]);
  if (finished) {
    const [out, err, status] = finished;
    process.stderr.write(err);
    process.stdout.write(out);
    return status;
  }
  try {
    if (command !== 'get') return misused(command === undefined ? 'a command is missing' : `unknown command ${command}`);
    const { values, positionals } = parseArgs({ args: rest, options: GET, allowPositionals: true });
    return positionals.length === 1 ? await get(positionals[0], values) : misused('get takes one argument');
  } catch (error) {
    if (error instanceof ReknockError) return failed(error);
    if (error.code?.startsWith('ERR_PARSE_ARGS')) return misused(error.message);
    if (error.syscall) return complain(error.message);
    throw error;
  }
}

async function get(url, values) {
  const { data } = values;
  const body = data?.startsWith('@') ? readFileSync(data.slice(1)) : data === undefined ? undefined : Buffer.from(data);
  const headers = values.header.map((field) => field.split(/:(.*)/s, 2).map((text) => text.trim()));
  const client = createClient({ policy: values.policy && PolicySet.load(values.policy) });
  const method = values.method ?? (body === undefined ? 'GET' : 'POST');
  const result = await client(url, { method, headers, body }).catch((error) => error);
  if (result instanceof Error && !(result instanceof ReknockError)) throw result;
  const bytes = result instanceof Error ? null : Buffer.from(await result.arrayBuffer());
  if (values.json) print(`${JSON.stringify(report(result, bytes))}\n`);
  else if (bytes === null) return failed(result);
  else {
    process.stdout.write(bytes);
    process.stderr.write(`${`${result.status} ${result.statusText}`.trim()}\n${result.explain()}`);
  }
  return bytes === null ? 2 : Number(result.status >= 400);
}

/** What happened, for programs. Times are seconds: the same object on every surface. */
function report(result, bytes) {
  const failure = bytes === null ? { kind: result.kind, message: result.message } : null;
  const attempts = result.attempts.map(({ number, hop, startMs, durationMs, status, error, evidence, hintMs, waitMs }) => {
    const times = { start: startMs / 1e3, duration: durationMs / 1e3, hint: seconds(hintMs), wait: seconds(waitMs) };
    return { number, hop, start: times.start, duration: times.duration, status, error, evidence, hint: times.hint, wait: times.wait };
  });
  const body = bytes === null ? null : bytes.toString();
  return { status: result.status ?? null, error: failure, stop_reason: result.stopReason, attempts, body };
}

function seconds(millis) {
  return millis === null ? null : millis / 1e3;
}

function print(text) {
  process.stdout.write(text);
  return 0;
}

function failed(error) {
  return complain(`${error.kind}: ${error.message}\n${error.explain()}`.trimEnd());
}

function misused(message) {
  return complain(`${commandHelp(PROGRAM)}${PROGRAM}: ${message}`);
}

function complain(message) {
  process.stderr.write(`${message}\n`);
  return 2;
}

module.exports = { main };
