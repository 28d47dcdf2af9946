/** What a network is given of a gate: twin of the second half of meshcodec/format/mesh_context.py. */

import { BORDER, LEFT, MOST_GATES, NEW, RIGHT, SEED } from './front.js';
import { Row, angle, lengthOf, log2 } from './numbers.js';

const FAR = 6; // largest distance, in lengths of the gate, that is told from larger ones
/** Features of a gate. */
export const GATE_FEATURES = 90;
/** The feature that is log2 of the gate's length. */
export const GATE_LENGTH = 55;
/** Pairs of features that belong to the two ends of a gate, the first features of all. */
export const GATE_PAIRS = 21;
/** Features after them that change their sign when the ends change places. */
export const GATE_SIGNED = 4;
/** Points of a gate, faces around it, numbers that are not places, and what is looked for. */
export const POINTS = 9, FACES = 4, FACTS = 12, SOUGHT = 2;
const A = 0, B = 1, C = 2, L = 3, R = 4, LL = 5, RR = 6, O = 7, P = 8; // points of a gate
const ENDS = [A, B, L, R];
const AROUND = 5; // points that are not looked for: a, b, c, l, r

/** The surroundings of the gates of a wave, in arrays that are kept from wave to wave. */
export class Surroundings {
  /** @param {import('./known.js').Known} known */
  constructor(known) {
    this.known = known;
    this.pool = new Pool(known);
    this.points = new Int32Array(POINTS * MOST_GATES); // vertices: a, b, c, l, r, ll, rr, o, p
    // The face behind, the one from which it was made, those behind the gates before and after.
    this.faces = new Int32Array(FACES * MOST_GATES);
    this.facts = new Uint8Array(FACTS * MOST_GATES);
    this.found = new Uint8Array(SOUGHT * MOST_GATES); // whether there are o and p
  }

  /** Look around at the gates of a wave. */
  look(wave) {
    this.pool.fill();
    for (let number = 0; number < wave.length; number++) {
      this.lookAt(number, wave[number]);
      this.pool.others(this, number);
    }
  }

  lookAt(number, gate) {
    const { points, faces, facts } = this;
    const { apex, before, after, corners, end, face, maker, origin, parent, state } = this.known.front;
    const left = before[gate];
    const right = after[gate];
    const behind = face[gate];
    const b = end[gate];
    const l = origin[left];
    const r = end[right];
    const ll = origin[before[left]];
    let at = POINTS * number;
    points[at] = origin[gate];
    points[at + B] = b;
    points[at + C] = apex[gate];
    points[at + L] = l;
    points[at + R] = r;
    points[at + LL] = ll;
    points[at + RR] = end[after[right]];
    at = FACES * number;
    faces[at] = behind;
    faces[at + 1] = parent[behind];
    faces[at + 2] = face[left];
    faces[at + 3] = face[right];
    const made = maker[behind];
    at = FACTS * number;
    facts[at++] = state[left] === BORDER ? 1 : 0;
    facts[at++] = state[right] === BORDER ? 1 : 0;
    facts[at++] = state[before[left]] === BORDER ? 1 : 0;
    facts[at++] = state[after[right]] === BORDER ? 1 : 0;
    facts[at++] = apex[gate] === corners[behind][0] ? 1 : 0;
    facts[at++] = l === r ? 1 : 0;
    facts[at++] = ll === r && l !== r ? 1 : 0;
    facts[at++] = made === NEW ? 1 : 0;
    facts[at++] = made === SEED ? 1 : 0;
    facts[at++] = made === LEFT || made === RIGHT ? 1 : 0;
    facts[at++] = made !== SEED && made > RIGHT ? 1 : 0;
    facts[at] = l === b ? 1 : 0;
  }
}

/** The vertices among which others are looked for. */
class Pool {
  constructor(known) {
    this.known = known;
    this.open = new Uint8Array(0); // vertices of open gates
    this.numbers = new Int32Array(0);
    this.places = new Int32Array(0);
    this.count = 0;
  }

  fill() {
    const { placed, tangled, front, places, valence } = this.known;
    const { origin, end, queue } = front;
    if (this.open.length < valence.length) {
      this.open = new Uint8Array(valence.length);
      this.numbers = new Int32Array(valence.length);
      this.places = new Int32Array(3 * valence.length);
    }
    const { open } = this;
    open.fill(0, 0, placed);
    for (let i = 0; i < queue.length; i++) {
      open[origin[queue[i]]] = 1;
      open[end[queue[i]]] = 1;
    }
    let count = 0;
    for (let number = 0; number < placed; number++) {
      if (!tangled && !open[number]) continue;
      this.numbers[count] = number;
      for (let axis = 0; axis < 3; axis++) this.places[3 * count + axis] = places[3 * number + axis];
      count++;
    }
    this.count = count;
  }

  /**
   * The two vertices nearest to the parallelogram's corner, but for the five around, and whether there are; of a
   * tangled mesh the nearest one of an open gate and the nearest one of none.
   */
  others(near, number) {
    const { count, numbers, places, open } = this;
    const { tangled, places: all } = this.known;
    const { points } = near;
    const at = POINTS * number;
    const a = 3 * points[at], b = 3 * points[at + B], c = 3 * points[at + C];
    const x = all[a] + all[b] - all[c];
    const y = all[a + 1] + all[b + 1] - all[c + 1];
    const z = all[a + 2] + all[b + 2] - all[c + 2];
    let one = -1;
    let other = -1;
    let nearest = Infinity;
    let second = Infinity;
    for (let i = 0; i < count; i++) {
      const dx = x - places[3 * i], dy = y - places[3 * i + 1], dz = z - places[3 * i + 2];
      const distance = dx * dx + dy * dy + dz * dz;
      if ((distance >= nearest && distance >= second) || isAround(points, at, numbers[i])) continue;
      if (tangled) {
        if (open[numbers[i]] && distance < nearest) {
          one = numbers[i];
          nearest = distance;
        } else if (!open[numbers[i]] && distance < second) {
          other = numbers[i];
          second = distance;
        }
      } else if (distance < nearest) {
        other = one;
        second = nearest;
        one = numbers[i];
        nearest = distance;
      } else {
        other = numbers[i];
        second = distance;
      }
    }
    points[at + O] = one < 0 ? points[at] : one;
    points[at + P] = other < 0 ? points[at] : other;
    near.found[SOUGHT * number] = one < 0 ? 0 : 1;
    near.found[SOUGHT * number + 1] = other < 0 ? 0 : 1;
  }
}

function isAround(points, at, vertex) {
  for (let point = at; point < at + AROUND; point++) if (points[point] === vertex) return true;
  return false;
}

/** The frame of a gate, and the points around it in there. */
class GateFrame {
  constructor() {
    this.offsets = new Float64Array(3 * POINTS); // from the middle of the gate, in its lengths
    this.x = new Float64Array(POINTS); // along the gate
    this.y = new Float64Array(POINTS);
    this.z = new Float64Array(POINTS); // along the normal
    this.along = new Float64Array(3);
    this.normal = new Float64Array(3);
    this.length = 0.5;
    this.area = 0.5;
  }

  /** Go to a gate; the points begin in the array at a place. */
  begin(places, points, first) {
    const { along, normal } = this;
    const a = 3 * points[first], b = 3 * points[first + B], c = 3 * points[first + C];
    const ex = places[b] - places[a], ey = places[b + 1] - places[a + 1], ez = places[b + 2] - places[a + 2];
    const cx = places[c] - places[b], cy = places[c + 1] - places[b + 1], cz = places[c + 2] - places[b + 2];
    this.length = Math.sqrt(ex * ex + ey * ey + ez * ez);
    along[0] = ex / this.length;
    along[1] = ey / this.length;
    along[2] = ez / this.length;
    const nx = cy * ez - cz * ey, ny = cz * ex - cx * ez, nz = cx * ey - cy * ex; // (a - b) x (c - b)
    this.area = Math.sqrt(nx * nx + ny * ny + nz * nz);
    const by = this.area > 0 ? this.area : 1;
    normal[0] = nx / by;
    normal[1] = ny / by;
    normal[2] = nz / by;
    this.locate(places, points, first);
  }

  locate(places, points, first) {
    const { offsets, along, normal, length } = this;
    const a = 3 * points[first], b = 3 * points[first + B];
    const ax = along[0], ay = along[1], az = along[2];
    const nx = normal[0], ny = normal[1], nz = normal[2];
    const cx = ny * az - nz * ay, cy = nz * ax - nx * az, cz = nx * ay - ny * ax; // across
    const mx = (places[a] + places[b]) * 0.5;
    const my = (places[a + 1] + places[b + 1]) * 0.5;
    const mz = (places[a + 2] + places[b + 2]) * 0.5;
    for (let point = 0; point < POINTS; point++) {
      const at = 3 * points[first + point];
      const x = (places[at] - mx) / length, y = (places[at + 1] - my) / length, z = (places[at + 2] - mz) / length;
      offsets[3 * point] = x;
      offsets[3 * point + 1] = y;
      offsets[3 * point + 2] = z;
      this.x[point] = x * ax + y * ay + z * az;
      this.y[point] = x * cx + y * cy + z * cz;
      this.z[point] = x * nx + y * ny + z * nz;
    }
  }

  /** From the corner of the parallelogram, which lies at minus c, in lengths of the gate. */
  distance(point) {
    const { offsets } = this;
    const x = offsets[3 * point] + offsets[3 * C];
    const y = offsets[3 * point + 1] + offsets[3 * C + 1];
    const z = offsets[3 * point + 2] + offsets[3 * C + 2];
    return Math.min(Math.sqrt(x * x + y * y + z * z), FAR);
  }

  /** Cosine of a normal, by its number in an array, to that of the face behind. */
  bend(normals, number) {
    const x = normals[3 * number], y = normals[3 * number + 1], z = normals[3 * number + 2];
    const by = lengthOf(x, y, z);
    return (x / by) * this.normal[0] + (y / by) * this.normal[1] + (z / by) * this.normal[2];
  }
}

/** The features of gates. */
export class GateRows {
  /** @param {import('./known.js').Known} known */
  constructor(known) {
    this.known = known;
    this.rows = []; // kept from wave to wave
    this.frame = new GateFrame();
  }

  /**
   * Features of the gates of a wave: those that belong to a gate's ends in pairs, a's before b's, then those that
   * change their sign when the ends change places, then all others, those of the mesh as a whole last.
   * @param {Surroundings} near
   * @param {number} count gates
   * @returns {Row[]} at least so many, to be read before the next wave
   */
  of(near, count) {
    const wide = new Row(GATE_FEATURES);
    for (const value of this.known.globalFacts()) wide.put(value);
    while (this.rows.length < count) this.rows.push(new Row(GATE_FEATURES));
    for (let number = 0; number < count; number++) {
      this.frame.begin(this.known.places, near.points, POINTS * number);
      const row = this.rows[number];
      row.count = 0;
      this.fill(row, near, number);
      for (let n = 0; n < wide.count; n++) row.values[row.count++] = wide.values[n];
    }
    return this.rows;
  }

  /** All features but those of the mesh as a whole. */
  fill(row, near, number) {
    const { frame, known } = this;
    const { points, faces, facts, found } = near;
    const { length } = frame;
    const scale = log2(length);
    const at = POINTS * number;
    this.putPairs(row, near, number, scale);
    this.putOthers(row, found[SOUGHT * number], found[SOUGHT * number + 1], facts[FACTS * number + 4]);
    row.put(Math.min(this.gap(points[at + L], points[at + R]) / length, FAR));
    row.put(scale);
    row.put(scale - known.scale);
    row.put(log2(frame.area / length + 0.25) - scale);
    row.put(frame.bend(known.normals, points[at + C]));
    row.put(frame.bend(known.faceNormals, faces[FACES * number + 1]));
    for (let fact = 5; fact < FACTS; fact++) row.put(facts[FACTS * number + fact]);
    this.putEndPlanes(row, points, at);
    row.put(Math.min(known.bordered[points[at + P]], 3) * found[SOUGHT * number + 1]);
  }

  /** The features that belong to the ends of a gate. */
  putPairs(row, near, number, scale) {
    const { frame, known } = this;
    const { normals, faceNormals, turned, valence, bordered } = known;
    const { points, faces, facts } = near;
    const { x, y, z } = frame;
    const at = POINTS * number;
    row.put(x[L]);
    row.put(-x[R]);
    row.put(x[LL]);
    row.put(-x[RR]);
    for (let point = L; point <= RR; point++) row.put(y[point]);
    for (let point = L; point <= RR; point++) row.put(z[point]);
    for (let point = L; point <= RR; point++) row.put(frame.distance(point));
    const left = this.gap(points[at + L], points[at + A]);
    const right = this.gap(points[at + R], points[at + B]);
    row.put(log2(left + 0.25) - scale);
    row.put(log2(right + 0.25) - scale);
    row.put(this.turn(points[at + L], points[at + A], left, 1));
    row.put(this.turn(points[at + R], points[at + B], right, -1));
    for (const point of ENDS) row.put(frame.bend(normals, points[at + point]));
    row.put(frame.bend(faceNormals, faces[FACES * number + 2]));
    row.put(frame.bend(faceNormals, faces[FACES * number + 3]));
    for (const point of ENDS) row.put(turned[points[at + point]] * 0.015625);
    for (const point of ENDS) row.put(valence[points[at + point]] * 0.5);
    for (const point of ENDS) row.put(Math.min(bordered[points[at + point]], 3));
    for (let fact = 0; fact < 4; fact++) row.put(facts[FACTS * number + fact]);
  }

  /** Where the corner behind the gate and the two nearest others lie. */
  putOthers(row, one, other, first) {
    const { frame } = this;
    const { x, y, z } = frame;
    row.put(x[C]);
    row.put(x[O] * one);
    row.put(x[P] * other);
    row.put(first - 0.5);
    row.put(y[C]);
    row.put(y[O] * one);
    row.put(y[P] * other);
    row.put(z[O] * one);
    row.put(z[P] * other);
    row.put(one ? frame.distance(O) : FAR);
    row.put(other ? frame.distance(P) : FAR);
    row.put(one);
  }

  /** Axes along which a gate, and the face behind it, lies in the first or the last plane of the grid. */
  putEndPlanes(row, points, at) {
    const { places, sides } = this.known;
    const a = 3 * points[at], b = 3 * points[at + B], c = 3 * points[at + C];
    const counts = [0, 0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      for (let which = 0; which < 2; which++) {
        const end = which === 0 ? 0 : sides[axis];
        if (places[a + axis] !== end || places[b + axis] !== end) continue;
        counts[which] += 1;
        if (places[c + axis] === end) counts[2 + which] += 1;
      }
    }
    for (let n = 0; n < 4; n++) row.put(counts[n]);
  }

  /** The distance of two vertices. */
  gap(to, from) {
    const { places } = this.known;
    const x = places[3 * to] - places[3 * from];
    const y = places[3 * to + 1] - places[3 * from + 1];
    const z = places[3 * to + 2] - places[3 * from + 2];
    return Math.sqrt(x * x + y * y + z * z);
  }

  /** Angle at an end of the gate, to where the next gate leads. */
  turn(to, from, length, sign) {
    const { places } = this.known;
    const { along } = this.frame;
    const x = places[3 * to] - places[3 * from];
    const y = places[3 * to + 1] - places[3 * from + 1];
    const z = places[3 * to + 2] - places[3 * from + 2];
    return angle(((x * along[0] + y * along[1] + z * along[2]) * sign) / (length > 0 ? length : 1));
  }
}
