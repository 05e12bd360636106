// The clients of Node. Each `open` takes the task and the imported modules, and gives `call`: async () => ({ status, body }).
//
// The rule is the same for all: a 503 is retried at once, up to `task.retries` times; connections are kept, one per call in flight.
import http from 'node:http'

/** reknock with its default policy but for what the rule says. */
const reknock = (read) => ({
  modules: ['reknock'],
  async open({ url, retries }, { createClient }) {
    const client = createClient({ policy: { maxRetries: retries, statuses: [503], backoff: false } })
    return { call: () => read(client, url), close: () => client.close() }
  },
})

/** The global fetch, which has no retries: a loop does. */
const fetch = {
  modules: [],
  async open({ url, retries }) {
    const send = async () => {
      const response = await globalThis.fetch(url)
      return { status: response.status, body: await response.arrayBuffer() }
    }
    return { call: () => repeat(send, retries) }
  },
}

const undici = {
  modules: ['undici'],
  async open({ url, retries, inFlight }, { Agent, RetryAgent, request }) {
    const agent = new Agent({ connections: inFlight })
    const dispatcher = new RetryAgent(agent, { maxRetries: retries, minTimeout: 0, maxTimeout: 0, statusCodes: [503] })
    const call = async () => {
      const { statusCode, body } = await request(url, { dispatcher })
      return { status: statusCode, body: await body.arrayBuffer() }
    }
    return { call, close: () => agent.close() }
  },
}

const got = {
  modules: ['got'],
  async open({ url, retries, inFlight }, { got }) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: inFlight })
    // For got a wait of 0 means that there is no retry, so it waits 1 ms.
    const retry = { limit: retries, statusCodes: [503], calculateDelay: ({ computedValue }) => (computedValue > 0 ? 1 : 0) }
    const client = got.extend({ agent: { http: agent }, retry, responseType: 'buffer' })
    const call = async () => {
      const { statusCode, body } = await client.get(url)
      return { status: statusCode, body }
    }
    return { call, close: () => agent.destroy() }
  },
}

const ky = {
  modules: ['ky'],
  async open({ url, retries }, { default: ky }) {
    const client = ky.create({ retry: { limit: retries, statusCodes: [503], delay: () => 0 } })
    const call = async () => {
      const response = await client.get(url)
      return { status: response.status, body: await response.arrayBuffer() }
    }
    return { call }
  },
}

const axiosRetry = {
  modules: ['axios', 'axios-retry'],
  async open({ url, retries, inFlight }, { default: axios }, { default: axiosRetry }) {
    const httpAgent = new http.Agent({ keepAlive: true, maxSockets: inFlight })
    const client = axios.create({ httpAgent, responseType: 'arraybuffer' })
    axiosRetry(client, { retries, retryDelay: () => 0, retryCondition: (error) => error.response?.status === 503 })
    const call = async () => {
      const { status, data } = await client.get(url)
      return { status, body: data }
    }
    return { call, close: () => httpAgent.destroy() }
  },
}

/** The rule for clients that have no retries of their own. */
async function repeat(send, retries) {
  for (let left = retries; ; left -= 1) {
    const reply = await send()
    if (reply.status !== 503 || left === 0) return reply
  }
}

export const peers = {
  'reknock-request': reknock(async (client, url) => {
    const { statusCode, body } = await client.request(url)
    return { status: statusCode, body: await body.arrayBuffer() }
  }),
  'reknock-fetch': reknock(async (client, url) => {
    const response = await client.fetch(url)
    return { status: response.status, body: await response.arrayBuffer() }
  }),
  fetch,
  undici,
  got,
  ky,
  'axios-retry': axiosRetry,
}
