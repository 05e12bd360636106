// node backend.mjs http|http2 PORT LOG CERT KEY STREAMS: what stands behind the proxies, and what is killed itself. Each request is in the log
// before it is answered.
import { appendFileSync, readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'

const [kind, port, log, cert, key, streams] = process.argv.slice(2)
const large = Buffer.alloc(2_000_000, 'x')

function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://there')
  if (pathname === '/early') {
    if (kind === 'http') response.setHeader('connection', 'close')
    response.writeHead(413).end('large')
    return
  }
  if (searchParams.has('id')) appendFileSync(log, `?id=${searchParams.get('id')}\n`)
  request.on('error', () => {}).resume().on('end', () => {
    setTimeout(() => response.end(pathname === '/large' ? large : 'ok'), Math.random() * 3)
  })
}

const secure = () => ({ cert: readFileSync(cert), key: readFileSync(key), settings: { maxConcurrentStreams: Number(streams) } })
const server = kind === 'http' ? http.createServer(serve) : http2.createSecureServer(secure(), serve)
server.keepAliveTimeout = 0
server.listen(Number(port), '127.0.0.1')
