// Measures one Node client: `runner.mjs PEER URL IN_FLIGHT WARM SECONDS RETRIES`. The protocol is described in bench/README.md.
import { readFileSync } from 'node:fs'
import { peers } from './peers.mjs'

async function main([name, url, inFlight, warm, seconds, retries]) {
  const task = { url, inFlight: Number(inFlight), warm: Number(warm), seconds: Number(seconds), retries: Number(retries) }
  const { modules, open } = peers[name]
  const bare = peakKib()
  const begin = performance.now()
  const imported = await Promise.all(modules.map((module) => import(module)))
  const loaded = performance.now()
  const { call, close } = await open(task, ...imported)
  const first = checked(await call())
  const started = performance.now()

  const warmed = await phase(call, task.inFlight, task.warm)
  const cpu = process.cpuUsage()
  const timed = await phase(call, task.inFlight, task.seconds)
  const { user, system } = process.cpuUsage(cpu)
  console.log(JSON.stringify({
    calls: timed.calls,
    all_calls: 1 + warmed.calls + timed.calls,
    wall: timed.wall,
    cpu: (user + system) / 1e6,
    bytes: first.byteLength + warmed.bytes + timed.bytes,
    checksums: [checksum(first), checksum(timed.last)],
    import: modules.length ? (loaded - begin) / 1e3 : null,
    start: (started - begin) / 1e3,
    bare_kib: bare,
    peak_kib: peakKib(),
  }))
  await close?.()
}

/** Keeps `inFlight` calls going for so long; each of them ends. */
async function phase(call, inFlight, seconds) {
  const begin = performance.now()
  const end = begin + seconds * 1e3
  const total = { calls: 0, bytes: 0, last: null }
  const worker = async () => {
    do {
      total.last = checked(await call())
      total.calls += 1
      total.bytes += total.last.byteLength
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return { ...total, wall: (performance.now() - begin) / 1e3 }
}

function checked({ status, body }) {
  if (status !== 200) throw new Error(`status ${status}`)
  return body
}

function checksum(body) {
  let sum = 0
  for (const byte of new Uint8Array(body.buffer ?? body, body.byteOffset ?? 0, body.byteLength)) sum = (Math.imul(sum, 31) + byte) >>> 0
  return sum
}

/** Largest memory of this process so far. Not `maxRSS`, which starts with that of the process that started us. */
function peakKib() {
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
}

await main(process.argv.slice(2))
