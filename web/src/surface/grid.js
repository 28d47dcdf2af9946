/** The grid that is evaluated coarse to fine: twin of meshcodec/surface/grid.py. */

import { TRUNCATION } from '../tokens/field.js';
import { Keys } from './keys.js';

export const EXTENT = 1.05;
/** A cell's corners: bit 0 is x, bit 1 y, bit 2 z. */
export const CORNERS = Array.from({ length: 8 }, (_, c) => [c & 1, (c >> 1) & 1, c >> 2]);
const NEAR = 0.5; // spacings: how near by interpolation the surface must be to a point of a cell that it crosses
const PROBE_PERIOD = 4; // one in so many points at which a surface may hide from the last level is evaluated
const PROBE_STRIDES = [1, 3, 1];
const TINY = 2 ** -126; // magnitude of a stored value that is zero: 0 is "not evaluated"

/** The points of a cell, a step of 0 to 2 along each axis, that are not its corners. */
const PLACES = [];
for (let n = 0; n < 27; n++) {
  const place = [Math.floor(n / 9), Math.floor(n / 3) % 3, n % 3];
  if (!place.includes(1)) continue;
  const corners = CORNERS.flatMap((corner, c) => (place.every((p, axis) => p === 1 || p === 2 * corner[axis]) ? [c] : []));
  const apart = CORNERS.map((corner) => Math.hypot(...place.map((p, axis) => p - 2 * corner[axis])));
  const phase = place.reduce((sum, p, axis) => sum + p * PROBE_STRIDES[axis], 0);
  PLACES.push({ place, corners, apart, phase, ways: place.filter((p) => p === 1).length });
}

/** Where index 0 lies on each axis: at -EXTENT or, on a mirrored axis, one cell below it. */
export function lowerBounds(resolution, mirrored) {
  return mirrored.map((mirror) => -EXTENT - (mirror ? (2 * EXTENT) / (resolution - 1) : 0));
}

/** Cells of one size, and the values at their corners. */
export class Cells {
  constructor(corners, values) {
    this.at = corners; // three lists of indices of the lowest corner
    this.values = values; // eight for each cell
    this.count = corners[0].length;
  }

  /** Those that a test holds for. */
  select(keep) {
    const numbers = new Keys();
    for (let cell = 0; cell < this.count; cell++) if (keep(cell)) numbers.push(cell);
    const chosen = numbers.all();
    const at = this.at.map((list) => {
      const picked = new Int32Array(chosen.length);
      for (let i = 0; i < chosen.length; i++) picked[i] = list[chosen[i]];
      return picked;
    });
    if (!this.values) return new Cells(at, null);
    const values = new Float32Array(8 * chosen.length);
    for (let i = 0, to = 0; i < chosen.length; i++) {
      for (let c = 0, from = 8 * chosen[i]; c < 8; c++) values[to++] = this.values[from + c];
    }
    return new Cells(at, values);
  }

  /** Whether a cell's corners have both signs. */
  isMixed(cell) {
    const { values } = this;
    let below = false;
    let above = false;
    for (let i = 8 * cell; i < 8 * cell + 8; i++) {
      if (values[i] < 0) below = true;
      else if (values[i] > 0) above = true;
    }
    return below && above;
  }

  /** Whether the surface may be in a cell, by how far its corners see. */
  mayHold(cell, reach) {
    for (let i = 8 * cell; i < 8 * cell + 8; i++) if (Math.abs(this.values[i]) <= reach) return true;
    return this.isMixed(cell);
  }

  /** The mean of some corners' values. */
  mean(cell, corners) {
    let sum = 0;
    for (const corner of corners) sum += this.values[8 * cell + corner];
    return sum / corners.length;
  }
}

/** Values at grid points, filled in on demand; a key is (i * points + j) * points + k. */
export class Grid {
  /**
   * @param {import('../tokens/field.js').Field} field
   * @param {number} level the distance at which the surface lies
   * @param {number} resolution cells a side
   * @param {boolean[]} mirrored axes
   */
  constructor(field, level, resolution, mirrored) {
    this.resolution = resolution;
    this.mirrored = mirrored;
    this.level = level;
    this.points = resolution + 1;
    this.strides = [this.points * this.points, this.points, 1];
    this.low = lowerBounds(resolution, mirrored);
    this.cell = Math.max(...this.low.map((low) => EXTENT - low)) / resolution;
    const ticks = this.low.map((low) =>
      Float32Array.from({ length: this.points }, (_, i) => low + i * ((EXTENT - low) / resolution)),
    );
    this.field = field.on(ticks);
    this.values = new Float32Array(this.points ** 3);
    this.guesses = new Float32Array(this.points ** 3);
    this.evaluated = 0;
  }

  close() {
    this.field.close();
  }

  /** Key of a point between the corners of cells, cut off at the grid's border. */
  key(i, j, k) {
    const last = this.resolution;
    if (i > last) i = last;
    if (j > last) j = last;
    if (k > last) k = last;
    return (i * this.points + j) * this.points + k;
  }

  /** Indices of a key along one axis. */
  index(key, axis) {
    return Math.floor(key / this.strides[axis]) % this.points;
  }

  /** Whether a key is on the grid's border. */
  onBorder(key) {
    const last = this.resolution;
    const row = Math.floor(key / this.points);
    const [i, j, k] = [Math.floor(row / this.points), row % this.points, key % this.points];
    return i === 0 || j === 0 || k === 0 || i === last || j === last || k === last;
  }

  /** Fill in the values at keys that have none; points on the border count as outside. */
  evaluate(keys) {
    this.field.evaluate(keys, (distance, key) => {
      let value = Math.min(Math.max(distance - this.level, -TRUNCATION), TRUNCATION);
      if (Math.abs(value) < TINY) value = TINY;
      this.values[key] = value < 0 && this.onBorder(key) ? -value : value;
    });
    this.evaluated += keys.length;
  }

  /** Adds the corners of a cell that have no value. */
  missingCorners(cell, missing) {
    const { values, points } = this;
    for (let c = 0; c < 8; c++) {
      const key = cell + (c & 1 ? points * points : 0) + (c & 2 ? points : 0) + (c & 4 ? 1 : 0);
      if (values[key] === 0) missing.push(key);
    }
  }

  /** Keys that get a value once: marked when they are asked for, evaluated together. */
  evaluateNew(wanted) {
    const fresh = new Keys();
    const { values } = this;
    for (let i = 0; i < wanted.length; i++) {
      const key = wanted.values[i];
      if (values[key] !== 0) continue;
      values[key] = NaN;
      fresh.push(key);
    }
    const keys = fresh.all().sort(); // neighbours side by side: kinder to caches
    this.evaluate(keys);
    return keys;
  }

  /** The cells with the values at their corners, or what is guessed there. */
  withValues(cells, step) {
    const [x, y, z] = cells.at;
    const values = new Float32Array(8 * cells.count);
    for (let cell = 0; cell < cells.count; cell++) {
      for (let c = 0; c < 8; c++) {
        const key = this.key(x[cell] + (c & 1) * step, y[cell] + ((c >> 1) & 1) * step, z[cell] + (c >> 2) * step);
        values[8 * cell + c] = this.values[key] === 0 ? this.guesses[key] : this.values[key];
      }
    }
    return new Cells(cells.at, values);
  }

  /** Key of a place, in steps, of a cell. */
  placeKey({ at }, cell, place, step) {
    return this.key(at[0][cell] + step * place[0], at[1][cell] + step * place[1], at[2][cell] + step * place[2]);
  }

  /** All points between the corners of cells. */
  evaluateBetween(cells, step) {
    const wanted = new Keys();
    for (const { place } of PLACES) {
      for (let cell = 0; cell < cells.count; cell++) wanted.push(this.placeKey(cells, cell, place, step / 2));
    }
    return this.evaluateNew(wanted);
  }

  /** The points between the corners of cells of `step` a side that the surface may pass. */
  evaluateNear(cells, step, lipschitz) {
    const half = step / 2;
    const mixed = cells.select((cell) => cells.isMixed(cell));
    const plain = cells.select((cell) => !cells.isMixed(cell));
    const wanted = new Keys();
    this.guess(mixed, half, () => NEAR * half * this.cell, wanted);
    if (half === 1) return this.evaluateProbes(plain, lipschitz, wanted);
    this.guess(plain, half, (ways) => lipschitz * half * this.cell * Math.sqrt(ways), wanted);
    return [this.evaluateNew(wanted)];
  }

  /** Interpolate between the corners of cells; wanted is what lies nearer to the surface than a limit. */
  guess(cells, half, limit, wanted) {
    for (const { place, corners, ways } of PLACES) {
      const most = limit(ways);
      for (let cell = 0; cell < cells.count; cell++) {
        const estimate = cells.mean(cell, corners);
        const key = this.placeKey(cells, cell, place, half);
        if (Math.abs(estimate) <= most) wanted.push(key);
        if (half > 1) this.guesses[key] = estimate;
      }
    }
  }

  /** The last level in cells of 2 a side, all of one sign; `wanted` holds what else is evaluated. */
  evaluateProbes(cells, lipschitz, wanted) {
    const probes = new Keys();
    const [x, y, z] = cells.at;
    for (const { place, apart, phase } of PLACES) {
      const limits = apart.map((distance) => lipschitz * this.cell * distance);
      for (let cell = 0; cell < cells.count; cell++) {
        const own = x[cell] * PROBE_STRIDES[0] + y[cell] * PROBE_STRIDES[1] + z[cell] * PROBE_STRIDES[2];
        if ((own + phase) % PROBE_PERIOD) continue;
        let mayHide = true;
        for (let c = 0; mayHide && c < 8; c++) mayHide = Math.abs(cells.values[8 * cell + c]) <= limits[c];
        if (!mayHide) continue;
        const key = this.placeKey(cells, cell, place, 1);
        wanted.push(key);
        probes.push(cells.values[8 * cell] < 0 ? -1 - key : key);
      }
    }
    const known = this.evaluateNew(wanted);
    const around = new Keys();
    for (const probe of probes.all()) {
      const key = probe < 0 ? -1 - probe : probe;
      if (this.values[key] < 0 === probe < 0 || this.onBorder(key)) continue;
      for (const stride of this.strides) for (const sign of [1, -1]) around.push(key + sign * stride);
    }
    return [known, this.evaluateNew(around)];
  }
}
