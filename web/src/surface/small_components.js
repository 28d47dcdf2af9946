/** Small components, which are errors of the field: twin of meshcodec/surface/small_components.py. */

/** Extent, in the cube, up to which a component is one. */
const LEAST = 0.066;

/** The part of each vertex, as the number of one of its vertices. */
function partsOf(indices, count) {
  const parent = Int32Array.from({ length: count }, (_, vertex) => vertex);
  const root = (vertex) => {
    while (parent[vertex] !== vertex) {
      parent[vertex] = parent[parent[vertex]];
      vertex = parent[vertex];
    }
    return vertex;
  };
  for (let i = 0; i < indices.length; i += 3) {
    const one = root(indices[i]);
    for (const k of [1, 2]) parent[root(indices[i + k])] = one;
  }
  return parent.map((_, vertex) => root(vertex));
}

/** Bounding box, and volume, of each part. */
function measured(positions, indices, parts) {
  const found = new Map();
  for (const part of parts) {
    if (!found.has(part)) found.set(part, { low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity], volume: 0 });
  }
  if (found.size === 1) return found;
  parts.forEach((part, vertex) => {
    const { low, high } = found.get(part);
    for (let axis = 0; axis < 3; axis++) {
      const value = positions[3 * vertex + axis];
      if (value < low[axis]) low[axis] = value;
      if (value > high[axis]) high[axis] = value;
    }
  });
  const p = positions;
  for (let i = 0; i < indices.length; i += 3) {
    const [a, b, c] = [3 * indices[i], 3 * indices[i + 1], 3 * indices[i + 2]];
    const volume =
      p[a] * (p[b + 1] * p[c + 2] - p[b + 2] * p[c + 1]) +
      p[a + 1] * (p[b + 2] * p[c] - p[b] * p[c + 2]) +
      p[a + 2] * (p[b] * p[c + 1] - p[b + 1] * p[c]);
    found.get(parts[indices[i]]).volume += volume / 6;
  }
  return found;
}

function isLarge({ low, high, volume }) {
  const [, middle, longest] = high.map((value, axis) => value - low[axis]).sort((one, other) => one - other);
  if (longest <= LEAST || middle <= LEAST / 4) return false;
  return longest > 4 * LEAST || Math.abs(volume) >= (LEAST / 2) ** 3;
}

/** Leave out parts that are small, unless all are. */
export function withoutSmallComponents({ positions, indices, evaluated }) {
  const parts = partsOf(indices, positions.length / 3);
  const large = new Set();
  const found = measured(positions, indices, parts);
  if (found.size === 1) return { positions, indices, evaluated };
  found.forEach((part, number) => isLarge(part) && large.add(number));
  if (large.size === 0 || large.size === found.size) return { positions, indices, evaluated };
  const numbers = new Int32Array(parts.length).fill(-1);
  let count = 0;
  const kept = new Float64Array(positions.length);
  for (let vertex = 0; vertex < parts.length; vertex++) {
    if (!large.has(parts[vertex])) continue;
    for (let axis = 0; axis < 3; axis++) kept[3 * count + axis] = positions[3 * vertex + axis];
    numbers[vertex] = count++;
  }
  const faces = indices.map((vertex) => numbers[vertex]).filter((_, i) => numbers[indices[i]] >= 0);
  return { positions: kept.slice(0, 3 * count), indices: faces, evaluated };
}
