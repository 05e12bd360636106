'use strict';
// What a runtime makes of ours: prints what came of each call.

const { attemptsOf, createClient, retryFetch, retrying } = require('../../index.js');

const { SERVER: server, CLOSED: closed, UNDICI: undici } = process.env;
const policy = { backoff: '1ms', budget: 'none' };

(async () => {
  const said = {};
  const client = createClient({ policy });
  const response = await client(`${server}/client`);
  said.client = [response instanceof Response, response.status, response.attempts.length, await response.text()];
  const fetched = await retryFetch({ policy })(`${server}/fetch`);
  said.retryFetch = [fetched.status, attemptsOf(fetched).attempts.length, await fetched.text()];
  const failure = await createClient({ policy: false })(closed).catch((error) => error);
  said.failure = [failure instanceof TypeError, failure.kind, failure.cause.code];
  const theirs = await retryFetch({ policy })(closed).catch((error) => error);
  said.theirs = [theirs instanceof Error, attemptsOf(theirs).attempts.at(-1).error];
  const reader = (await client(`${server}/events`)).body.getReader();
  said.events = [Buffer.from((await reader.read()).value).toString()];
  await fetch(`${server}/go`);
  said.events.push(Buffer.from((await reader.read()).value).toString());
  said.nested = await retrying(async () => (await client(`${server}/busy`)).stopReason, { policy })();
  if (undici) {
    const { Agent, request } = require('undici');
    const { retryInterceptor } = require('../../lib/interceptor.js');
    const dispatcher = new Agent().compose(retryInterceptor({ policy: { ...policy, methods: 'any' } }));
    const { statusCode, body } = await request(`${server}/undici`, { method: 'POST', body: 'x', dispatcher });
    const answer = await fetch(`${server}/global`, { method: 'POST', body: 'x', dispatcher });
    said.undici = [statusCode, await body.text(), answer.status, await answer.text()];
  }
  console.log(JSON.stringify(said));
  client.close();
})();
