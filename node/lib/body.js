'use strict';

const { randomBytes } = require('node:crypto');
const { isDisturbed } = require('node:stream');
const { isAnyArrayBuffer, isSharedArrayBuffer, isUint8Array } = require('node:util/types');
const { wrongType } = require('./errors.js');

const TAKES = 'text, bytes, URLSearchParams, FormData, a Blob, a ReadableStream, an iterable, or a function that makes one of them';

/**
 * A body as the core takes it, or null: bytes, a stream that is sent once, or a factory that is asked for a new pass for each attempt.
 * `type` is the content-type that fetch would give it.
 */
function toBody(input) {
  if (input === null || input === undefined) return null;
  if (typeof input === 'function') return { kind: 'factory', begin: () => pass(async () => iterate(await input())), length: null, type: null };
  const bytes = bytesOf(input);
  if (bytes) return { kind: 'bytes', bytes, type: typeof input === 'string' ? 'text/plain;charset=UTF-8' : null };
  if (typeof input !== 'object') return toBody(`${input}`);
  switch (tagOf(input)) {
    case 'URLSearchParams':
      return { kind: 'bytes', bytes: Buffer.from(`${input}`), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
    case 'Blob':
      return { ...blobs([input]), type: input.type || null };
    case 'FormData':
      return multipart(input);
  }
  if (input.locked || isDisturbed(input)) throw wrongType('body: the stream is locked, or something was read from it');
  const start = iterate(input);
  return { kind: 'stream', begin: () => pass(() => start), length: null, type: null };
}

/** One walk through what a producer gives. */
function pass(start) {
  let iterator;
  const begun = (async () => (iterator = (await start())()))();
  begun.catch(() => {});
  return {
    /** The next piece, null at the end. */
    async next() {
      await begun;
      const { done, value } = await iterator.next();
      if (done) return null;
      const bytes = bytesOf(value);
      if (!bytes) throw wrongType(`body: a piece must be text or bytes, got ${nameOf(value)}`);
      return bytes;
    },
    /** Tells the producer that nobody wants more. What it says to that is nobody's business. */
    cancel() {
      begun.then(() => iterator.return?.()).catch(() => {});
    },
  };
}

/** What starts an iteration over something that produces pieces. Bytes are a producer of one. */
function iterate(input) {
  const bytes = bytesOf(input);
  if (bytes) return () => [bytes][Symbol.iterator]();
  if (tagOf(input) === 'Blob') return () => input.stream()[Symbol.asyncIterator]();
  const method = input?.[Symbol.asyncIterator] ?? input?.[Symbol.iterator];
  if (typeof method !== 'function') throw wrongType(`body: must be ${TAKES}, got ${nameOf(input)}`);
  return () => method.call(input);
}

/** Text or bytes as bytes; undefined if it is neither. */
function bytesOf(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (isAnyArrayBuffer(value)) return unshared(new Uint8Array(value));
  if (!ArrayBuffer.isView(value)) return undefined;
  return unshared(isUint8Array(value) ? value : new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
}

/** Memory that other threads can write to is copied. */
function unshared(bytes) {
  return isSharedArrayBuffer(bytes.buffer) ? bytes.slice() : bytes;
}

/** What it is by name: other implementations than the global ones will do. */
function tagOf(input) {
  const tag = input?.[Symbol.toStringTag];
  return tag === 'File' ? 'Blob' : tag;
}

/** Bytes and blobs, one after the other: bytes if there are no blobs, else a factory of known length. */
function blobs(pieces) {
  if (!pieces.some((piece) => tagOf(piece) === 'Blob')) return { kind: 'bytes', bytes: Buffer.concat(pieces) };
  const all = async function* () {
    for (const piece of pieces) {
      if (tagOf(piece) === 'Blob') yield* piece.stream();
      else yield piece;
    }
  };
  return { kind: 'factory', begin: () => pass(() => all), length: pieces.reduce((sum, piece) => sum + (piece.size ?? piece.length), 0) };
}

/** A form as multipart/form-data, in the standard's encoding. */
function multipart(form) {
  const boundary = `----reknock-${randomBytes(16).toString('hex')}`;
  const pieces = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(lines(name))}"`;
    if (typeof value === 'string') {
      pieces.push(Buffer.from(`${head}\r\n\r\n${lines(value)}\r\n`));
    } else {
      const type = value.type || 'application/octet-stream';
      pieces.push(Buffer.from(`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`), value, Buffer.from('\r\n'));
    }
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return { ...blobs(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

function lines(text) {
  return text.replace(/\r\n|\r|\n/g, '\r\n');
}

function escaped(name) {
  return name.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');
}

function nameOf(value) {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return value.constructor?.name ?? 'an object';
}

module.exports = { toBody, bytesOf, nameOf };
