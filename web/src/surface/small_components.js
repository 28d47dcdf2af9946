/** Small components, which are errors of the field: twin of meshcodec/surface/small_components.py. */

/** Extent, in the cube, up to which a component is one. */
const LEAST = 0.066;
const FACTS = 7; // numbers of a part

/** The part of each vertex, 0, 1, 2 ..., and how many there are. */
function partsOf(indices, count) {
  const parent = new Int32Array(count);
  for (let vertex = 0; vertex < count; vertex++) parent[vertex] = vertex;
  const root = (vertex) => {
    while (parent[vertex] !== vertex) {
      parent[vertex] = parent[parent[vertex]];
      vertex = parent[vertex];
    }
    return vertex;
  };
  for (let i = 0; i < indices.length; i += 3) {
    const one = root(indices[i]);
    parent[root(indices[i + 1])] = one;
    parent[root(indices[i + 2])] = one;
  }
  const numbers = new Int32Array(count).fill(-1);
  const parts = new Int32Array(count);
  let found = 0;
  for (let vertex = 0; vertex < count; vertex++) {
    const own = root(vertex);
    if (numbers[own] < 0) numbers[own] = found++;
    parts[vertex] = numbers[own];
  }
  return { parts, count: found };
}

/** Bounding box, and volume, of each part: low and high by axis, then the volume. */
function measured(p, indices, parts, count) {
  const found = new Float64Array(FACTS * count);
  for (let part = 0; part < count; part++) found.fill(Infinity, FACTS * part, FACTS * part + 3).fill(-Infinity, FACTS * part + 3, FACTS * part + 6);
  for (let vertex = 0; vertex < parts.length; vertex++) {
    const at = FACTS * parts[vertex];
    for (let axis = 0; axis < 3; axis++) {
      const value = p[3 * vertex + axis];
      if (value < found[at + axis]) found[at + axis] = value;
      if (value > found[at + 3 + axis]) found[at + 3 + axis] = value;
    }
  }
  for (let i = 0; i < indices.length; i += 3) {
    const a = 3 * indices[i];
    const b = 3 * indices[i + 1];
    const c = 3 * indices[i + 2];
    const volume =
      p[a] * (p[b + 1] * p[c + 2] - p[b + 2] * p[c + 1]) +
      p[a + 1] * (p[b + 2] * p[c] - p[b] * p[c + 2]) +
      p[a + 2] * (p[b] * p[c + 1] - p[b + 1] * p[c]);
    found[FACTS * parts[indices[i]] + 6] += volume / 6;
  }
  return found;
}

function isLarge([x0, y0, z0, x1, y1, z1, volume]) {
  const [, middle, longest] = [x1 - x0, y1 - y0, z1 - z0].sort((one, other) => one - other);
  if (longest <= LEAST || middle <= LEAST / 4) return false;
  return longest > 4 * LEAST || Math.abs(volume) >= (LEAST / 2) ** 3;
}

/** Leave out parts that are small, unless all are. */
export function withoutSmallComponents({ positions, indices, evaluated }) {
  const { parts, count } = partsOf(indices, positions.length / 3);
  if (count < 2) return { positions, indices, evaluated };
  const facts = measured(positions, indices, parts, count);
  const large = Uint8Array.from({ length: count }, (_, part) => Number(isLarge(facts.subarray(FACTS * part, FACTS * part + FACTS))));
  if (!large.includes(0) || !large.includes(1)) return { positions, indices, evaluated };
  const numbers = new Int32Array(parts.length).fill(-1);
  let vertices = 0;
  const kept = new Float64Array(positions.length);
  for (let vertex = 0; vertex < parts.length; vertex++) {
    if (!large[parts[vertex]]) continue;
    for (let axis = 0; axis < 3; axis++) kept[3 * vertices + axis] = positions[3 * vertex + axis];
    numbers[vertex] = vertices++;
  }
  const faces = new Uint32Array(indices.length);
  let corners = 0;
  for (let i = 0; i < indices.length; i++) if (numbers[indices[i]] >= 0) faces[corners++] = numbers[indices[i]];
  return { positions: kept.slice(0, 3 * vertices), indices: faces.slice(0, corners), evaluated };
}
