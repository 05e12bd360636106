'use strict';

const { randomBytes } = require('node:crypto');
const { isDisturbed } = require('node:stream');
const { isAnyArrayBuffer, isSharedArrayBuffer, isUint8Array } = require('node:util/types');
const { wrongType } = require('./errors.js');

const TAKES = 'text, bytes, URLSearchParams, FormData, a Blob, a ReadableStream, an iterable, or a function';
/** What a function may make: nothing whose content-type is not known before it is called. */
const MAKES = 'text, bytes, a Blob, a ReadableStream or an iterable';
const FORMS = new Set(['URLSearchParams', 'FormData']);

/**
 * A body as the core takes it, null for none: `bytes`; a `stream` that is sent once (`next` gives its pieces, `cancel` ends it early); or a
 * `factory` that makes such a stream for each attempt. `type` is the content-type that fetch would give it, `length` the size if known.
 */
function toBody(input) {
  if (input === null || input === undefined) return null;
  if (typeof input === 'function') return { kind: 'factory', make: makerOf(input) };
  const bytes = bytesOf(input);
  if (bytes) return { kind: 'bytes', bytes, type: typeof input === 'string' ? 'text/plain;charset=UTF-8' : undefined };
  if (typeof input !== 'object' || input instanceof String) return toBody(`${input}`);
  switch (tagOf(input)) {
    case 'URLSearchParams':
      return { kind: 'bytes', bytes: Buffer.from(`${input}`), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
    case 'Blob':
      return { ...joined([input]), type: input.type || undefined };
    case 'FormData':
      return multipart(input);
  }
  unread(input);
  return { kind: 'stream', ...walk(iterate(input)) };
}

/** Text or bytes as bytes; undefined if it is neither. Memory that other threads can write to is copied. */
function bytesOf(value) {
  if (typeof value === 'string') return Buffer.from(value);
  const bytes = isAnyArrayBuffer(value) ? new Uint8Array(value) : value;
  if (!ArrayBuffer.isView(bytes)) return undefined;
  // Memory that was given away looks empty; to look at it once more throws a TypeError.
  if (bytes.byteLength === 0) new Uint8Array(bytes.buffer);
  const view = isUint8Array(bytes) ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isSharedArrayBuffer(view.buffer) ? view.slice() : view;
}

/** A piece of a ReadableStream: the platform takes no other. */
function bytePiece(value) {
  if (isUint8Array(value)) return value;
  throw wrongType(`body: a piece of a ReadableStream must be a Uint8Array, got ${nameOf(value)}`);
}

/** What makes a walk through what a function makes, which must be new each time: the same one would be sent empty. */
function makerOf(input) {
  let before;
  const begin = async () => {
    const made = await input();
    unread(made);
    // Forms can be walked through, but not as pieces.
    const source = FORMS.has(tagOf(made)) ? undefined : made;
    const iterator = iterate(source, `a function must make ${MAKES}, got ${nameOf(made)}`);
    if (iterator === before) throw wrongType('body: the function made the same iterator again; it must make a new one each time');
    return (before = iterator);
  };
  return () => walk(undefined, begin);
}

function unread(stream) {
  if (stream?.locked || isDisturbed(stream)) throw wrongType('body: the stream is locked, or something was read from it');
}

/** A walk through what an iterator gives, which may have to be got when the first piece is asked for. */
function walk(iterator, begin) {
  return {
    /** The next piece, undefined at the end. */
    async next() {
      iterator ??= await begin();
      const { done, value } = await iterator.next();
      if (done) return undefined;
      const bytes = bytesOf(iterator.ofBytes ? bytePiece(value) : value);
      if (!bytes) throw wrongType(`body: a piece must be text or bytes, got ${nameOf(value)}`);
      return bytes;
    },
    /** Tells the producer that nobody wants more. What it says to that is nobody's business. */
    async cancel(reason) {
      try {
        await iterator?.return?.(reason);
      } catch {}
    },
  };
}

/** An iterator over something that produces pieces. Bytes are a producer of one. `wrong` is what is said of what produces none. */
function iterate(input, wrong = `must be ${TAKES}, got ${nameOf(input)}`) {
  const bytes = bytesOf(input);
  if (bytes) return [bytes].values();
  const source = tagOf(input) === 'Blob' ? contents(input) : input;
  // Their own iterators would not be ended while a piece is waited for.
  if (typeof source?.getReader === 'function') {
    const reader = source.getReader();
    return { ofBytes: true, next: () => reader.read(), return: (reason) => reader.cancel(reason) };
  }
  const method = source?.[Symbol.asyncIterator] ?? source?.[Symbol.iterator];
  if (typeof method !== 'function') throw wrongType(`body: ${wrong}`);
  const iterator = method.call(source);
  if (typeof source.destroy !== 'function') return iterator;
  return { next: () => iterator.next(), return: () => source.destroy() };
}

/** What it is by name: other implementations than the global ones will do, those of pages included, where some go by the name of their class alone. */
function tagOf(input) {
  const tag = input?.[Symbol.toStringTag] ?? input?.constructor?.name;
  return tag === 'File' ? 'Blob' : tag;
}

/** What a Blob holds; jsdom's has no stream. */
function contents(blob) {
  return typeof blob.stream === 'function' ? blob.stream() : whole(blob);
}

async function* whole(blob) {
  yield new Uint8Array(await blob.arrayBuffer());
}

/** Bytes and blobs, one after the other: bytes if there are no blobs, else a factory of known length. */
function joined(pieces) {
  if (!pieces.some((piece) => tagOf(piece) === 'Blob')) return { kind: 'bytes', bytes: Buffer.concat(pieces) };
  const all = async function* () {
    for (const piece of pieces) {
      if (tagOf(piece) === 'Blob') yield* contents(piece);
      else yield piece;
    }
  };
  return { kind: 'factory', make: () => walk(all()), length: pieces.reduce((sum, piece) => sum + (piece.size ?? piece.length), 0) };
}

/** A form as multipart/form-data, in the standard's encoding. */
function multipart(form) {
  // As long as the platform's: so is the whole.
  const boundary = `----reknock-${randomBytes(10).toString('hex')}`;
  const pieces = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(withCrLf(name))}"`;
    if (typeof value === 'string') {
      pieces.push(Buffer.from(`${head}\r\n\r\n${withCrLf(value)}\r\n`));
    } else {
      const type = value.type || 'application/octet-stream';
      pieces.push(Buffer.from(`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`), value, Buffer.from('\r\n'));
    }
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return { ...joined(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

function withCrLf(text) {
  return text.replace(/\r\n|\r|\n/g, '\r\n');
}

function escaped(name) {
  return name.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');
}

function nameOf(value) {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return value.constructor?.name ?? 'an object';
}

module.exports = { toBody, bytePiece, bytesOf, nameOf, tagOf };
