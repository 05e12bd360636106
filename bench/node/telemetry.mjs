// `telemetry.mjs URL [ROUNDS] [CALLS]`: what being watched costs a call of Node's client. CPU time of the process with all its threads, of GETs on a kept
// connection, one after another; the ways to be watched take turns in one process. Prints a table in Markdown: medians, and of the difference in a round.
import { channel, tracingChannel } from 'node:diagnostics_channel'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { createClient } from 'reknock'
import { instrument, uninstrument } from 'reknock/telemetry'

const [url, rounds = '25', calls = '1000'] = process.argv.slice(2)
const client = createClient()
const ignore = () => {}
const steps = { start: ignore, end: ignore, asyncStart: ignore, asyncEnd: ignore, error: ignore }

class Manual extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}
const dropping = { onStart: ignore, onEnd: ignore, forceFlush: async () => {}, shutdown: async () => {} }
const sdk = { tracerProvider: new BasicTracerProvider({ spanProcessors: [dropping] }), meterProvider: new MeterProvider({ readers: [new Manual()] }) }

/** Each begins a way to be watched, and gives what ends it. */
const WAYS = {
  off: () => ignore,
  '`onEvent` that does nothing': () => ignore,
  'a subscriber of `reknock:event`': () => (channel('reknock:event').subscribe(ignore), () => channel('reknock:event').unsubscribe(ignore)),
  'subscribers of `reknock:call` and `reknock:attempt`': () => {
    const both = ['reknock:call', 'reknock:attempt'].map((name) => tracingChannel(name))
    for (const one of both) one.subscribe(steps)
    return () => both.forEach((one) => one.unsubscribe(steps))
  },
  '`reknock/telemetry`, no SDK': () => (instrument(), uninstrument),
  'with the SDK: a span, a point of the histogram': () => (instrument(sdk), uninstrument),
}

const CALLS = {
  'request()': async (options) => client.request(url, options),
  fetch: async (options) => (await client(url, options)).arrayBuffer(),
}

async function measured(call, name) {
  const options = name.startsWith('`onEvent`') ? { onEvent: ignore } : undefined
  const end = WAYS[name]()
  const before = process.cpuUsage()
  for (let left = Number(calls); left > 0; left--) await call(options)
  const { user, system } = process.cpuUsage(before)
  end()
  return (user + system) / Number(calls)
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
const quarter = (numbers, part) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * part)]

for (const [what, call] of Object.entries(CALLS)) {
  const seen = Object.fromEntries(Object.keys(WAYS).map((name) => [name, []]))
  // The first rounds warm what V8 compiles.
  for (let round = -5; round < Number(rounds); round++) {
    for (const name of Object.keys(WAYS)) {
      const cost = await measured(call, name)
      if (round >= 0) seen[name].push(cost)
    }
  }
  console.log(`\n| ${what} | CPU per call, us | more than off, us |\n| --- | ---: | ---: |`)
  for (const [name, costs] of Object.entries(seen)) {
    const more = costs.map((cost, round) => cost - seen.off[round])
    const shown = name === 'off' ? '' : `${median(more).toFixed(1)} (${quarter(more, 0.25).toFixed(1)} to ${quarter(more, 0.75).toFixed(1)})`
    console.log(`| ${name} | ${median(costs).toFixed(1)} | ${shown} |`)
  }
}
client.close()
