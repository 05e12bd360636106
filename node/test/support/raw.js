'use strict';

const { once } = require('node:events');
const net = require('node:net');

/**
 * A port whose connections are served by functions of the test's own, for what no script can say: `said(text, socket, state)` is told all
 * that has come, each time more comes. `state` is the connection's own object.
 */
async function raw(t, said) {
  const sockets = new Set();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    const state = {};
    let text = '';
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) server.emit('empty');
    });
    socket.on('data', (data) => said((text += data.toString('latin1')), socket, state));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Fulfilled once no connection is open. */
    empty: async () => sockets.size === 0 || once(server, 'empty'),
  };
}

/** Whether the head of the request has come; the request's body as far as it has, its chunks put together, and whether it is whole. */
function request(text) {
  const end = text.indexOf('\r\n\r\n');
  let rest = end < 0 ? '' : text.slice(end + 4);
  let body = '';
  for (;;) {
    const size = /^([0-9a-f]+)\r\n/.exec(rest);
    const length = size && Number.parseInt(size[1], 16);
    if (size === null || rest.length < size[0].length + length + 2) return { head: end >= 0, body, whole: false };
    if (length === 0) return { head: true, body, whole: true };
    body += rest.slice(size[0].length, size[0].length + length);
    rest = rest.slice(size[0].length + length + 2);
  }
}

/** The head of a chunked response, a chunk, and the last one. */
const HEAD = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const END = '0\r\n\r\n';
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

module.exports = { raw, request, chunk, HEAD, END };
