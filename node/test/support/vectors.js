'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { Policy } = require('../../index.js');

const ROOT = path.join(__dirname, '..', '..', '..');

/** The shared vectors of a file. */
function vectors(name) {
  return JSON.parse(text(name));
}

/** Likewise, in which a number that JSON.parse would change is {"$number": "3.0"}. */
function documents(name) {
  const changed = /"(?:[^"\\]|\\.)*"|-?[1-9]\d*\.0+(?![\d.eE])|\d{16,}(?![\d.eE])/g;
  return JSON.parse(text(name).replace(changed, (token) => (token[0] === '"' ? token : `{"$number": "${token}"}`)));
}

function text(name) {
  return readFileSync(path.join(ROOT, 'tests', 'vectors', `${name}.json`), 'utf8');
}

/** A document as text: JSON, or YAML in lines if it holds a {"$float": "nan"}, which is `.nan` there. {"$number": "3.0"} is 3.0. */
function textOf(document) {
  const json = JSON.stringify(document).replace(/\{"\$number":"([^"]*)"\}/g, '$1');
  return json.includes('"$float"') ? lines(document, '') : json;
}

function lines(value, indent) {
  if (Array.isArray(value) || value === null || typeof value !== 'object') return ` ${JSON.stringify(value)}`;
  if ('$float' in value) return ` ${value.$float.replace(/nan|inf/, '.$&')}`;
  return Object.entries(value).map(([key, item]) => `\n${indent}"${key}":${lines(item, `${indent}  `)}`).join('');
}

/** JSON has no NaN and no infinity: {"$float": "nan"}. */
function floats(value) {
  if (Array.isArray(value)) return value.map(floats);
  if (value === null || typeof value !== 'object') return value;
  if ('$float' in value) return { nan: NaN, inf: Infinity, '-inf': -Infinity }[value.$float];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, floats(item)]));
}

/** The policy of a case's route: without a retry_policy it is that of an empty one. */
function route({ route: given }) {
  const [{ policy }] = Policy.readAll(JSON.stringify({ retry_policy: {}, ...given }), 'envoy');
  return policy;
}

module.exports = { ROOT, documents, floats, route, textOf, vectors };
