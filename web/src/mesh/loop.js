/** Loop subdivision surfaces with creases: twin of meshcodec/surface/loop.py. */

const MOST_LEVELS = 5; // no surface is subdivided more often, however few its faces
const SMOOTH = 1; // crease code without a crease angle
/** cos x |cos| of the crease codes 2 to 12, 15 to 165 degrees. */
const SIGNED_SQUARES = [
  0.9330127018922193, 0.75, 0.5, 0.25, 0.06698729810778067, 0, -0.06698729810778067, -0.25, -0.5, -0.75,
  -0.9330127018922193,
];

/**
 * The edges of faces, the smaller end first, in ascending order.
 * @param {Uint32Array} faces three corners each
 * @param {number} count vertices
 * @returns {{ends: Uint32Array, ofFace: Uint32Array, uses: Uint32Array}} `ofFace`: the edge from each corner to the
 *   next one of its face; `uses`: how many faces have the edge
 */
export function edgesOf(faces, count) {
  const keys = new Float64Array(faces.length);
  for (let corner = 0; corner < faces.length; corner++) {
    const [a, b] = [faces[corner], faces[next(corner)]];
    keys[corner] = Math.min(a, b) * count + Math.max(a, b);
  }
  const sorted = keys.slice().sort();
  const numbers = new Map();
  for (const key of sorted) if (!numbers.has(key)) numbers.set(key, numbers.size);
  const ends = new Uint32Array(2 * numbers.size);
  const uses = new Uint32Array(numbers.size);
  const ofFace = new Uint32Array(faces.length);
  for (let corner = 0; corner < faces.length; corner++) {
    const edge = numbers.get(keys[corner]);
    ofFace[corner] = edge;
    uses[edge] += 1;
    ends[2 * edge] = Math.floor(keys[corner] / count);
    ends[2 * edge + 1] = keys[corner] % count;
  }
  return { ends, ofFace, uses };
}

/** The corner after one, within its face. */
function next(corner) {
  return corner % 3 === 2 ? corner - 2 : corner + 1;
}

/** The number of levels after which faces have become at most `mostFaces`; at least 0. */
export function levelsWithin(faces, mostFaces) {
  let levels = 0;
  while (levels < MOST_LEVELS && faces * 4 ** (levels + 1) <= mostFaces) levels++;
  return levels;
}

/** Which edges are sharp: without exactly two faces, or with two that meet at the crease angle. */
export function creaseEdges(positions, faces, edges, crease) {
  const sharp = Uint8Array.from(edges.uses, (uses) => Number(uses !== 2));
  if (crease === SMOOTH) return sharp;
  const first = new Int32Array(sharp.length).fill(-1);
  for (let corner = 0; corner < faces.length; corner++) {
    const edge = edges.ofFace[corner];
    if (edges.uses[edge] !== 2) continue;
    if (first[edge] < 0) {
      first[edge] = corner;
      continue;
    }
    const [one, other] = [first[edge], corner];
    const [u, v] = [one, other].map((each) => normalOf(positions, faces, Math.floor(each / 3)));
    const upwards = [one, other].map((each) => faces[each] < faces[next(each)]);
    const dot = upwards[0] === upwards[1] ? -dotOf(u, v) : dotOf(u, v);
    sharp[edge] = Number(dot * Math.abs(dot) < SIGNED_SQUARES[crease - SMOOTH - 1] * (dotOf(u, u) * dotOf(v, v)));
  }
  return sharp;
}

function normalOf(positions, faces, face) {
  const at = (corner, axis) => positions[3 * faces[3 * face + corner] + axis];
  const [x, y, z] = [0, 1, 2].map((axis) => at(1, axis) - at(0, axis));
  const [p, q, r] = [0, 1, 2].map((axis) => at(2, axis) - at(0, axis));
  return [y * r - z * q, z * p - x * r, x * q - y * p];
}

/** The dot product of whole vectors, rounded once: its exact value may be beyond 53 bits. */
function dotOf(u, v) {
  const sizes = Math.abs(u[0] * v[0]) + Math.abs(u[1] * v[1]) + Math.abs(u[2] * v[2]);
  if (sizes < Number.MAX_SAFE_INTEGER) return u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
  return Number(u.reduce((sum, value, axis) => sum + BigInt(value) * BigInt(v[axis]), 0n));
}

/**
 * Points on the limit surface, after a number of levels.
 * @param {Float64Array} positions
 * @param {Uint32Array} faces
 * @param {Uint8Array} sharp which of `edgesOf` are sharp
 */
export function subdivide(positions, faces, sharp, levels) {
  for (let level = 0; level < levels; level++) ({ positions, faces, sharp } = refined(positions, faces, sharp));
  const edges = edgesOf(faces, positions.length / 3);
  return { positions: movedVertices(positions, edges, sharp, limitWeight, 1 / 6), indices: faces };
}

/** Weight of each neighbour of a smooth vertex (Loop 1987). */
function loopWeight(valence) {
  return (5 / 8 - (3 / 8 + Math.cos((2 * Math.PI) / valence) / 4) ** 2) / valence;
}

/** Weight of each neighbour in the limit of a smooth vertex (Loop 1987). */
function limitWeight(valence) {
  return 1 / (3 / (8 * loopWeight(valence)) + valence);
}

/** One level: the old vertices moved, then one for each edge. */
function refined(positions, faces, sharp) {
  const count = positions.length / 3;
  const edges = edgesOf(faces, count);
  const total = count + sharp.length;
  const points = new Float64Array(3 * total);
  points.set(movedVertices(positions, edges, sharp, loopWeight, 1 / 8));
  addMiddles(points, positions, faces, edges, sharp, count);
  const children = new Uint32Array(4 * faces.length);
  for (let face = 0; face < faces.length / 3; face++) {
    const middle = [0, 1, 2].map((k) => count + edges.ofFace[3 * face + k]);
    for (let k = 0; k < 3; k++) {
      children.set([faces[3 * face + k], middle[k], middle[(k + 2) % 3]], 12 * face + 3 * k);
    }
    children.set(middle, 12 * face + 9);
  }
  return { positions: points, faces: children, sharp: halvesOf(children, total, count, sharp) };
}

/** The middle of a sharp edge, else 3/8 of its ends and 1/8 of the two corners across. */
function addMiddles(points, positions, faces, edges, sharp, count) {
  for (let edge = 0; edge < sharp.length; edge++) {
    const weight = sharp[edge] ? 1 / 2 : 3 / 8;
    for (let axis = 0; axis < 3; axis++) {
      const ends = positions[3 * edges.ends[2 * edge] + axis] + positions[3 * edges.ends[2 * edge + 1] + axis];
      points[3 * (count + edge) + axis] = weight * ends;
    }
  }
  for (let corner = 0; corner < faces.length; corner++) {
    const edge = edges.ofFace[corner];
    if (sharp[edge]) continue;
    const across = faces[next(next(corner))];
    for (let axis = 0; axis < 3; axis++) points[3 * (count + edge) + axis] += positions[3 * across + axis] / 8;
  }
}

/** Halves of sharp edges are sharp. An edge with an old vertex at one end is half of the edge of its other end. */
function halvesOf(children, total, count, sharp) {
  const { ends, uses } = edgesOf(children, total);
  return Uint8Array.from(uses, (_, edge) => (ends[2 * edge] < count ? sharp[ends[2 * edge + 1] - count] : 0));
}

/** Each vertex as a sum of itself and its neighbours: all if it is smooth, those across if on a crease. */
function movedVertices(positions, edges, sharp, smoothWeight, creaseWeight) {
  const count = positions.length / 3;
  const valence = new Uint32Array(count);
  const creases = new Uint32Array(count);
  edges.ends.forEach((end, i) => {
    valence[end] += 1;
    creases[end] += sharp[i >> 1];
  });
  const moved = new Float64Array(positions.length);
  const weights = new Float64Array(count);
  for (let vertex = 0; vertex < count; vertex++) {
    const smooth = creases[vertex] < 2; // a vertex of one sharp edge alone, where a crease ends, is smooth
    if (smooth && valence[vertex]) weights[vertex] = smoothWeight(valence[vertex]);
    else if (creases[vertex] === 2) weights[vertex] = creaseWeight;
    const own = 1 - (smooth ? valence[vertex] : creases[vertex] === 2 ? 2 : 0) * weights[vertex];
    for (let axis = 0; axis < 3; axis++) moved[3 * vertex + axis] = own * positions[3 * vertex + axis];
  }
  for (let i = 0; i < edges.ends.length; i++) {
    const [vertex, neighbour] = [edges.ends[i], edges.ends[i ^ 1]];
    if (!(creases[vertex] < 2 || (sharp[i >> 1] && creases[vertex] === 2))) continue;
    for (let axis = 0; axis < 3; axis++) moved[3 * vertex + axis] += weights[vertex] * positions[3 * neighbour + axis];
  }
  return moved;
}
