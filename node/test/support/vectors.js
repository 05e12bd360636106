'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..', '..');

/** The shared vectors of a file. */
function vectors(name) {
  return JSON.parse(readFileSync(path.join(ROOT, 'tests', 'vectors', `${name}.json`), 'utf8'));
}

/** JSON has no NaN and no infinity: {"$float": "nan"}. */
function floats(value) {
  if (Array.isArray(value)) return value.map(floats);
  if (value === null || typeof value !== 'object') return value;
  if ('$float' in value) return { nan: NaN, inf: Infinity, '-inf': -Infinity }[value.$float];
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, floats(item)]));
}

module.exports = { ROOT, vectors, floats };
