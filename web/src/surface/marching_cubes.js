/** Crossed edges to vertices and triangles: twin of meshcodec/surface/marching_cubes.py. */

import { CORNERS, EXTENT } from './grid.js';
import { Keys } from './keys.js';
import { CASES, EDGES } from './mc_table.js';

const ENDS = 4e-4; // share of a grid edge kept free at its ends, so that no triangle degenerates

/**
 * Follow the surface from evaluated keys until it closes, and triangulate it.
 * @param {import('./grid.js').Grid} grid
 * @param {Int32Array[]} known lists of keys
 * @param {((positions: Float64Array, faces: Uint32Array) => Float64Array)?} [move] where vertices go
 */
export function polygonize(grid, known, move) {
  const { edges, cells } = follow(grid, known);
  if (!edges.length) return { positions: new Float64Array(), indices: new Uint32Array(), evaluated: grid.evaluated };
  let positions = verticesOn(grid, edges);
  let indices = trianglesIn(grid, cells, edges);
  if (move) positions = moved(grid, positions, indices, move);
  grid.mirrored.forEach((mirror, axis) => {
    if (mirror) ({ positions, indices } = withImage(positions, indices, axis));
  });
  return { positions: toCube(grid, positions), indices, evaluated: grid.evaluated };
}

/** All crossed edges, 3 * lower key + axis, and the cells around them; both ascending. */
function follow(grid, known) {
  const edges = new Keys();
  const cells = new Keys();
  const seen = new Uint8Array(grid.values.length);
  for (const keys of known) crossedEdges(grid, keys, [1], edges);
  let fresh = edges.all();
  while (fresh.length) {
    const missing = new Keys();
    const offsets = [0, 1, 2].map((axis) => besides(grid, axis));
    for (let i = 0; i < fresh.length; i++) {
      const lower = Math.floor(fresh[i] / 3);
      for (const offset of offsets[fresh[i] % 3]) {
        const cell = lower - offset;
        if (seen[cell]) continue;
        seen[cell] = 1;
        cells.push(cell);
        grid.missingCorners(cell, missing);
      }
    }
    if (!missing.length) break;
    const keys = missing.distinct();
    grid.evaluate(keys);
    const further = new Keys();
    crossedEdges(grid, keys, [1, -1], further);
    fresh = further.distinct();
    for (const edge of fresh) edges.push(edge);
  }
  return { edges: edges.distinct(), cells: cells.all().sort() };
}

/** Edges from keys to evaluated neighbours of the other sign. */
function crossedEdges({ values, strides }, keys, directions, found) {
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    const inside = values[key] < 0;
    for (let axis = 0; axis < 3; axis++) {
      for (const direction of directions) {
        const beyond = key + direction * strides[axis];
        // Beyond the border lies another row's border, which is outside like this one.
        if (beyond < 0 || beyond >= values.length) continue;
        const other = values[beyond];
        if (other !== 0 && inside !== other < 0) found.push(3 * (direction > 0 ? key : beyond) + axis);
      }
    }
  }
}

/** The four cells around an edge, as what its key is less in each. */
function besides({ strides }, axis) {
  const [one, two] = [strides[(axis + 1) % 3], strides[(axis + 2) % 3]];
  return [0, one, two, one + two];
}

/** Grid positions of the crossings of edges. */
function verticesOn({ values, strides, points }, edges) {
  const positions = new Float64Array(3 * edges.length);
  for (let vertex = 0; vertex < edges.length; vertex++) {
    const axis = edges[vertex] % 3;
    const lower = (edges[vertex] - axis) / 3;
    const near = values[lower];
    const far = values[lower + strides[axis]];
    const row = Math.floor(lower / points);
    positions[3 * vertex] = Math.floor(row / points);
    positions[3 * vertex + 1] = row % points;
    positions[3 * vertex + 2] = lower % points;
    positions[3 * vertex + axis] += Math.min(Math.max(near / (near - far), ENDS), 1 - ENDS);
  }
  return positions;
}

/** Triangles as numbers among the edges. */
function trianglesIn(grid, cells, edges) {
  const numbers = new Int32Array(grid.guesses.buffer); // of each cell; guesses have served
  for (let number = 0; number < cells.length; number++) numbers[cells[number]] = number;
  const vertices = new Int32Array(cells.length * EDGES.length);
  // An edge's lower corner in each of the four cells around it, in the order of `besides`.
  const places = [0, 1, 2].map((axis) => {
    const [one, two] = [1 << ((axis + 1) % 3), 1 << ((axis + 2) % 3)];
    return [0, one, two, one | two].map((corner) => EDGES.findIndex(([c, a]) => c === corner && a === axis));
  });
  const offsets = [0, 1, 2].map((axis) => besides(grid, axis));
  for (let vertex = 0; vertex < edges.length; vertex++) {
    const axis = edges[vertex] % 3;
    const lower = (edges[vertex] - axis) / 3;
    for (let n = 0; n < 4; n++) vertices[numbers[lower - offsets[axis][n]] * EDGES.length + places[axis][n]] = vertex;
  }
  return facesOf(grid, cells, vertices);
}

/** Corners of the triangles in cells, given the vertices on the edges of each. */
function facesOf(grid, cells, vertices) {
  const faces = new Keys(6 * cells.length);
  const corners = CORNERS.map(([i, j, k]) => i * grid.strides[0] + j * grid.strides[1] + k);
  const mirrors = [0, 1, 2].filter((axis) => grid.mirrored[axis]);
  for (let number = 0; number < cells.length; number++) {
    const cell = cells[number];
    // Beyond a mirror there is one layer of cells, whose triangles close the surface: not wanted.
    if (mirrors.length && mirrors.some((axis) => grid.index(cell, axis) === 0)) continue;
    let which = 0;
    for (let c = 0; c < 8; c++) if (grid.values[cell + corners[c]] < 0) which |= 1 << c;
    const edges = CASES[which];
    for (let i = 0; i < edges.length; i++) faces.push(vertices[number * EDGES.length + edges[i]]);
  }
  return Uint32Array.from(faces.all());
}

/** Grid positions in the cube. */
function toCube({ low, resolution }, positions) {
  const cells = low.map((value) => (EXTENT - value) / resolution);
  const found = new Float64Array(positions.length);
  for (let i = 0; i < positions.length; i += 3) {
    for (let axis = 0; axis < 3; axis++) found[i + axis] = low[axis] + positions[i + axis] * cells[axis];
  }
  return found;
}

/** Grid positions of vertices that go where `move` says; none leaves or meets a mirror. */
function moved(grid, positions, indices, move) {
  const { low, resolution, mirrored } = grid;
  const found = move(toCube(grid, positions), indices);
  const factors = low.map((value) => resolution / (EXTENT - value));
  for (let i = 0; i < found.length; i += 3) {
    for (let axis = 0; axis < 3; axis++) {
      const value = (found[i + axis] - low[axis]) * factors[axis];
      const own = positions[i + axis];
      if (!mirrored[axis]) found[i + axis] = value;
      else found[i + axis] = own <= 1 ? own : Math.max(value, 1 + ENDS);
    }
  }
  return found;
}

/** A surface and its image in the plane of index 1, of which they share the vertices; no unused ones. */
function withImage(positions, indices, axis) {
  const numbers = new Int32Array(positions.length / 3).fill(-1);
  for (const vertex of indices) numbers[vertex] = 0;
  let count = 0;
  for (let vertex = 0; vertex < numbers.length; vertex++) if (numbers[vertex] === 0) numbers[vertex] = count++;
  const all = [];
  const images = new Int32Array(count);
  let next = count;
  numbers.forEach((number, vertex) => {
    if (number < 0) return;
    all.push(positions[3 * vertex], positions[3 * vertex + 1], positions[3 * vertex + 2]);
    images[number] = positions[3 * vertex + axis] === 1 ? number : next++;
  });
  for (let vertex = 0; vertex < count; vertex++) {
    if (images[vertex] === vertex) continue;
    for (let a = 0; a < 3; a++) all.push(a === axis ? 2 - all[3 * vertex + a] : all[3 * vertex + a]);
  }
  const faces = new Uint32Array(2 * indices.length);
  for (let i = 0; i < indices.length; i += 3) {
    for (let k = 0; k < 3; k++) {
      const number = numbers[indices[i + k]];
      faces[i + k] = number;
      faces[indices.length + i + 2 - k] = images[number];
    }
  }
  return { positions: Float64Array.from(all), indices: faces };
}
