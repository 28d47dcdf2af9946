/** Slits between solids that touch, made narrow: twin of meshcodec/surface/slits.py. */

import { EXTENT } from './grid.js';

const REST = 0.002; // half the thickness that is left of a slit
const WHOLE = 1.3, NONE = 1.7; // thicknesses of a gap, in those of a slit, up to which it is one, and from which on none
const OPPOSED = -0.7; // cosine of the normals of points that lie opposite to each other, at most
const ASIDE = 0.012; // length by which they may miss each other sideways
const REACH = 0.0125; // distance within which a vertex is looked for about the point where the other side should be
const LEAST = 0.003; // thickness of slits below which there is nothing to be made narrower
const SHEET_HALF_THICKNESS = 0.0075;
const BUCKETS = Math.ceil((2 * EXTENT) / REACH) + 4; // along a side of the cube, with two beyond each end
const TABLE_BITS = 17;
const TABLE = 1 << TABLE_BITS; // places at which a column may begin

/** Thickness of the slits of a file. */
export function slitThickness(level) {
  return 2 * (SHEET_HALF_THICKNESS - level);
}

/**
 * Where the vertices of a surface go.
 * @param {Float64Array} positions in the cube, on the kept side of the mirrors
 * @param {Uint32Array} indices
 * @param {number} thickness of a slit
 * @param {boolean[]} mirrored axes with a mirror at -EXTENT
 */
export function narrowed(positions, indices, thickness, mirrored) {
  if (thickness < LEAST || !indices.length) return positions;
  const normals = vertexNormals(positions, indices);
  for (let i = 0; i < positions.length; i++) {
    if (mirrored[i % 3] && Math.abs(positions[i] + EXTENT) < 1e-9) normals[i] = 0; // what lies in a mirror stays there
  }
  const others = withImages(positions, normals, thickness, mirrored);
  const buckets = new Buckets(others.points);
  const result = positions.slice();
  for (let i = 0; i < positions.length; i += 3) {
    const [x, y, z] = [positions[i], positions[i + 1], positions[i + 2]];
    const [nx, ny, nz] = [normals[i], normals[i + 1], normals[i + 2]];
    const other = 3 * buckets.nearest(x + thickness * nx, y + thickness * ny, z + thickness * nz);
    if (other < 0) continue;
    const { points: p, normals: n } = others;
    if (n[other] * nx + n[other + 1] * ny + n[other + 2] * nz >= OPPOSED) continue;
    const [wx, wy, wz] = [p[other] - x, p[other + 1] - y, p[other + 2] - z];
    const gap = wx * nx + wy * ny + wz * nz;
    const [ax, ay, az] = [wx - gap * nx, wy - gap * ny, wz - gap * nz];
    if (!(gap > 0 && Math.sqrt(ax * ax + ay * ay + az * az) < ASIDE)) continue;
    const share = Math.min(Math.max((NONE - gap / thickness) / (NONE - WHOLE), 0), 1);
    const length = share * Math.max(Math.min(gap, WHOLE * thickness) / 2 - REST, 0);
    result[i] += length * nx;
    result[i + 1] += length * ny;
    result[i + 2] += length * nz;
  }
  return result;
}

/** Unit normals of vertices, by the areas of the faces around them; zero where there are none. */
function vertexNormals(positions, indices) {
  const normals = new Float64Array(positions.length);
  const p = positions;
  for (let i = 0; i < indices.length; i += 3) {
    const [a, b, c] = [3 * indices[i], 3 * indices[i + 1], 3 * indices[i + 2]];
    const [ux, uy, uz] = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
    const [vx, vy, vz] = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
    const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (let k = 0; k < 3; k++) {
      const corner = k === 0 ? a : k === 1 ? b : c;
      normals[corner] += x;
      normals[corner + 1] += y;
      normals[corner + 2] += z;
    }
  }
  for (let i = 0; i < normals.length; i += 3) {
    const [x, y, z] = [normals[i], normals[i + 1], normals[i + 2]];
    const length = Math.max(Math.sqrt(x * x + y * y + z * z), 1e-30);
    normals[i] /= length;
    normals[i + 1] /= length;
    normals[i + 2] /= length;
  }
  return normals;
}

/** What may lie opposite to others: vertices that have a normal, and the images of those near a mirror. */
function withImages(positions, normals, thickness, mirrored) {
  const points = new Float64Array(8 * positions.length); // each mirror may double what there is
  const towards = new Float64Array(8 * positions.length);
  let n = 0;
  for (let i = 0; i < positions.length; i += 3) {
    if (normals[i] === 0 && normals[i + 1] === 0 && normals[i + 2] === 0) continue;
    for (let axis = 0; axis < 3; axis++, n++) {
      points[n] = positions[i + axis];
      towards[n] = normals[i + axis];
    }
  }
  for (let axis = 0; axis < 3; axis++) {
    if (!mirrored[axis]) continue;
    for (let i = 0, end = n; i < end; i += 3) {
      if (points[i + axis] >= -EXTENT + NONE * thickness) continue;
      for (let a = 0; a < 3; a++, n++) {
        points[n] = a === axis ? -2 * EXTENT - points[i + a] : points[i + a];
        towards[n] = a === axis ? -towards[i + a] : towards[i + a];
      }
    }
  }
  return { points: points.subarray(0, n), normals: towards.subarray(0, n) };
}

/** Points in buckets of REACH a side: those of one column lie in a row, columns in a table by a hash. */
class Buckets {
  constructor(points) {
    this.points = points;
    const count = points.length / 3;
    const bucket = new Int32Array(count);
    this.starts = new Int32Array(TABLE + BUCKETS + 1);
    for (let n = 0; n < count; n++) {
      const at = 3 * n;
      bucket[n] = this.key(this.index(points[at]), this.index(points[at + 1]), this.index(points[at + 2]));
      this.starts[bucket[n] + 1] += 1;
    }
    for (let i = 1; i < this.starts.length; i++) this.starts[i] += this.starts[i - 1];
    this.numbers = new Int32Array(count);
    const next = this.starts.slice();
    for (let n = 0; n < count; n++) this.numbers[next[bucket[n]]++] = n;
  }

  index(value) {
    return Math.min(Math.max(Math.floor((value + EXTENT) / REACH) + 2, 1), BUCKETS - 2);
  }

  key(i, j, k) {
    return ((Math.imul(i, 0x9e3779b1) ^ Math.imul(j, 0x85ebca6b)) >>> (32 - TABLE_BITS)) + k;
  }

  /** The number of the point that is nearest to a place, within REACH; -1 where there is none. */
  nearest(x, y, z) {
    const { points, starts, numbers } = this;
    const i = this.index(x);
    const j = this.index(y);
    const k = this.index(z);
    let best = -1;
    let least = REACH * REACH;
    for (let p = i - 1; p <= i + 1; p++) {
      for (let q = j - 1; q <= j + 1; q++) {
        const row = this.key(p, q, k);
        const end = starts[row + 2];
        for (let at = starts[row - 1]; at < end; at++) {
          const n = 3 * numbers[at];
          const dx = points[n] - x;
          const dy = points[n + 1] - y;
          const dz = points[n + 2] - z;
          const distance = dx * dx + dy * dy + dz * dz;
          if (distance < least) {
            best = numbers[at];
            least = distance;
          }
        }
      }
    }
    return best;
  }
}
