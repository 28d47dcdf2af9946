/** Files that tests need, and what Python makes of them. */

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { Core } from '../../src/core.js';

export const ROOT = new URL('../../../', import.meta.url);
export const WEIGHTS = new URL('../../weights/', import.meta.url);
const GOLDEN = new URL('tests/golden/', ROOT);
const CONFORMANCE = new URL('conformance/', ROOT);

export const core = new Core(WEIGHTS);

export function bytesOf(name) {
  return new Uint8Array(readFileSync(new URL(name, GOLDEN)));
}

export function namesIn(folder) {
  return readdirSync(new URL(folder, GOLDEN)).filter((name) => name.endsWith('.vat')).sort();
}

export function goldenRecord(folder) {
  return JSON.parse(readFileSync(new URL(`${folder}/expected.json`, GOLDEN), 'utf8'));
}

export function vectors(name) {
  return JSON.parse(readFileSync(new URL(name, CONFORMANCE), 'utf8'));
}

export function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}

/** Faces by the places of their corners, each begun at its least one, as the record of Python's tests hashes them. */
export function integersHash({ sides, positions, faces }) {
  const less = (one, other) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2];
  const oriented = faces.map((face) => {
    const corners = face.map((vertex) => positions[vertex]);
    let first = 0;
    for (const k of [1, 2]) if (less(corners[k], corners[first]) < 0) first = k;
    return [0, 1, 2].map((k) => corners[(first + k) % 3]);
  });
  oriented.sort((one, other) => less(one[0], other[0]) || less(one[1], other[1]) || less(one[2], other[2]));
  return sha256(JSON.stringify([sides, oriented]).replaceAll(',', ', '));
}

/** A generator of the same numbers each time (mulberry32), 0 to 1. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
