'use strict';

// `make demo`: what reknock does about a flaky server, told by the timeline of each call.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createClient, ReknockError } = require('..');

const UNAVAILABLE = { do: 'status', status: 503 };
const DONE = { do: 'status', status: 200, body: 'done' };

/** Prints how a call went. */
async function told(call, promise) {
  const result = await promise.catch((error) => error);
  const said = result instanceof ReknockError ? `${result.kind}: ${result.message}` : `${result.status} '${await result.text()}'`;
  console.log(`   ${call} -> ${said}`);
  console.log(result.explain().replace(/^/gm, '   ').trimEnd());
}

async function play(script) {
  console.log('\n== Node: success on attempt 3, after a 503 and a reset');
  const patient = createClient({ policy: { backoff: { base: '50ms' } } });
  await told('fetch', patient(await script(UNAVAILABLE, { do: 'reset' }, DONE)));

  console.log('\n== Node: a deadline that cuts a hanging attempt');
  const hasty = createClient({ timeout: 700, policy: { perTryTimeout: '400ms', backoff: '100ms' } });
  await told('fetch', hasty(await script({ do: 'hang' })));

  console.log('\n== Node: a POST that is not repeated, and why');
  await told('post', createClient().post(await script({ do: 'reset' }, DONE), { json: { amount: 1 } }));

  console.log('\n== Node: three calls at once, an async function as retryIf');
  const retryIf = async (attempt) => (attempt.status === 404 ? true : undefined);
  const curious = createClient({ retryIf, policy: { backoff: '20ms' } });
  const url = await script({ do: 'status', status: 404 }, DONE);
  for (const call of [1, 2, 3].map(() => curious(url))) await told('fetch', call);
}

/** Starts the scripted server and plays against it. */
async function main() {
  const server = spawn(process.env.REKNOCK_TEST_SERVER, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(server.stdout, 'data');
  const control = `${line}`.trim().split(' ')[1];
  await play(async (...outcomes) => {
    const answer = await fetch(`${control}/scripts`, { method: 'POST', body: JSON.stringify(outcomes) });
    return (await answer.json()).url;
  });
  server.stdin.end();
}

main();
