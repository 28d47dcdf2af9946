/** Parts that are there more than once: twin of meshcodec/format/mesh_copies.py and grid_copies.py. */

import { damaged } from '../errors.js';

const MOST_FACES = 0xffff; // of a mesh with its copies
const MOST_DIGITS = 16; // binary digits of a number of copies
const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
const ODD = [false, true, true, false, false, true]; // which of them are odd permutations
const TURNS = 48;

/**
 * A mesh joined by the copies that its message tells of.
 * @param {import('./teller.js').Teller} teller
 * @param {{positions: number[][], faces: number[][]}} mesh in the order of the walk
 * @param {number[]} sides largest coordinates
 * @returns {{positions: number[][], faces: number[][]}}
 */
export function withCopies(teller, { positions, faces }, sides) {
  const parts = partsOf(positions.length, faces);
  const places = [...positions];
  const corners = [...faces];
  const total = teller.uniform(parts.length) + 1;
  let rank = 0;
  for (let number = 0; number < total; number++, rank++) {
    rank += teller.uniform(parts.length - rank - (total - 1 - number));
    const part = parts[rank];
    const count = numberOf(teller);
    if (corners.length + count * part.faces.length > MOST_FACES) throw damaged();
    const own = part.vertices.map((vertex) => positions[vertex]);
    const at = new Map(part.vertices.map((vertex, index) => [vertex, index]));
    let last = { turn: 0, low: least(own) };
    for (let copy = 0; copy < count; copy++) {
      last = oneOf(teller, own, last, sides);
      const image = imageOf(own, last.turn);
      const begin = places.length;
      for (const place of image) places.push(place.map((value, axis) => value + last.low[axis]));
      for (const face of part.faces) {
        const [i, j, k] = face.map((vertex) => begin + at.get(vertex));
        corners.push(isMirrored(last.turn) ? [k, j, i] : [i, j, k]);
      }
    }
  }
  return { positions: places, faces: corners };
}

/** What hangs together by vertices, by the least vertex of each part; vertices and faces in ascending order. */
function partsOf(count, faces) {
  const parent = Array.from({ length: count }, (_, vertex) => vertex);
  const root = (vertex) => {
    while (parent[vertex] !== vertex) vertex = parent[vertex] = parent[parent[vertex]];
    return vertex;
  };
  for (const [i, j, k] of faces) {
    for (const other of [j, k]) {
      const [a, b] = [root(i), root(other)];
      parent[Math.max(a, b)] = Math.min(a, b);
    }
  }
  const found = new Map();
  for (let vertex = 0; vertex < count; vertex++) {
    const first = root(vertex);
    if (!found.has(first)) found.set(first, { vertices: [], faces: [] });
    found.get(first).vertices.push(vertex);
  }
  for (const face of faces) found.get(root(face[0])).faces.push(face);
  return [...found.values()];
}

/** A number from 1 up: how many binary digits follow its first, as so many ones, then these. */
function numberOf(teller) {
  let digits = 0;
  while (digits < MOST_DIGITS && teller.uniform(2)) digits++;
  return 2 ** digits + teller.uniform(2 ** digits);
}

/** A copy, told by what of it is not as with the one before. */
function oneOf(teller, own, last, sides) {
  const turn = teller.uniform(2) ? last.turn : teller.uniform(TURNS);
  const image = imageOf(own, turn);
  const room = sides.map((side, axis) => side - image.reduce((most, place) => Math.max(most, place[axis]), 0));
  if (room.some((steps) => steps < 0)) throw damaged();
  const low = room.map((most, axis) => {
    const value = teller.uniform(2) ? last.low[axis] : teller.uniform(most + 1);
    if (value > most) throw damaged();
    return value;
  });
  return { turn, low };
}

/** A part's places turned, with the least corner of their box at 0. */
function imageOf(places, turn) {
  const order = ORDERS[turn >> 3];
  const turned = places.map((place) => order.map((from, axis) => ((turn >> axis) & 1 ? -place[from] : place[from])));
  const low = least(turned);
  return turned.map((place) => place.map((value, axis) => value - low[axis]));
}

function isMirrored(turn) {
  const signs = (turn & 1) + ((turn >> 1) & 1) + ((turn >> 2) & 1);
  return ODD[turn >> 3] !== (signs % 2 === 1);
}

function least(places) {
  return [0, 1, 2].map((axis) => places.reduce((low, place) => Math.min(low, place[axis]), Infinity));
}
