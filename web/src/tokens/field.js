/** Planes to distances at the points of a grid. */

const PLANES = 3;
const WIDTH = 128; // units of a hidden layer, as in web/wasm/field.c
const EXTENT = 1.05;
/** Largest magnitude of a distance. */
export const TRUNCATION = 0.1;
const BATCH = 1 << 12; // points of a call: engines replace code that they compiled in haste between calls only

/** The field of one set of planes. */
export class Field {
  /**
   * @param {import('../kernels.js').Kernels} kernels
   * @param {Map<string, {shape: number[], values: Float32Array}>} tensors of the model
   * @param {object} config shape of the model
   * @param {number} planes place of (3, side, side, channels) numbers
   */
  constructor(kernels, tensors, config, planes) {
    this.kernels = kernels;
    this.side = config.plane_side;
    this.octaves = config.field_frequencies;
    const values = (name) => tensors.get(`field.mlp.${name}`).values;
    [, this.inputs] = tensors.get('field.mlp.0.weight').shape;
    this.first = values('0.weight');
    this.firstBias = values('0.bias');
    this.second = kernels.layer(values('2.weight'), values('2.bias'), WIDTH, WIDTH);
    this.last = kernels.put(values('4.weight').map((weight) => TRUNCATION * weight));
    this.lastBias = TRUNCATION * values('4.bias')[0];
    this.projected = this.project(planes, config.plane_channels[2]);
  }

  /** The first layer is linear in what the planes hold: its sums, at each texel. */
  project(planes, channels) {
    const { kernels, side } = this;
    const texels = side * side;
    const projected = kernels.room(PLANES * texels * WIDTH);
    for (let plane = 0; plane < PLANES; plane++) {
      const weights = this.columns(plane * channels, channels);
      const { packed, bias } = kernels.layer(weights, null, WIDTH, channels);
      kernels.functions.linear(
        planes + 4 * plane * texels * channels, texels, channels, packed, bias, WIDTH,
        projected + 4 * plane * texels * WIDTH, 0,
      );
      kernels.release(packed);
    }
    return projected;
  }

  /** Some columns of the first layer's weights: (WIDTH, count). */
  columns(from, count) {
    const weights = new Float32Array(WIDTH * count);
    for (let unit = 0; unit < WIDTH; unit++) {
      for (let i = 0; i < count; i++) weights[unit * count + i] = this.first[unit * this.inputs + from + i];
    }
    return weights;
  }

  /**
   * The field on a grid; its room is free again with `close`.
   * @param {Float32Array[]} ticks coordinates of the grid's points along each axis
   */
  on(ticks) {
    return new GridField(this, ticks);
  }

  /** What a coordinate adds to the first layer: itself, its sines and cosines; the first axis has the bias. */
  position(axis, value) {
    const begin = this.inputs - 3 - 6 * this.octaves;
    const sums = axis === 0 ? Float64Array.from(this.firstBias) : new Float64Array(WIDTH);
    const add = (column, factor) => {
      for (let unit = 0; unit < WIDTH; unit++) sums[unit] += factor * this.first[unit * this.inputs + begin + column];
    };
    add(axis, value);
    for (let octave = 0; octave < this.octaves; octave++) {
      const angle = Math.PI * 2 ** octave * value;
      add(3 + axis * this.octaves + octave, Math.sin(angle));
      add(3 + (3 + axis) * this.octaves + octave, Math.cos(angle));
    }
    return sums;
  }
}

class GridField {
  constructor(field, ticks) {
    const { kernels, side } = field;
    this.kernels = kernels;
    const points = ticks[0].length;
    this.mark = kernels.room(4);
    const positions = new Float32Array(PLANES * points * WIDTH);
    const shares = new Float32Array(PLANES * points);
    const texels = new Int32Array(PLANES * points);
    ticks.forEach((values, axis) => {
      values.forEach((value, i) => {
        positions.set(field.position(axis, value), (axis * points + i) * WIDTH);
        const at = Math.min(Math.max(((value / EXTENT + 1) * side - 1) / 2, 0), side - 1);
        texels[axis * points + i] = Math.floor(at);
        shares[axis * points + i] = at - Math.floor(at);
      });
    });
    const tables = kernels.room(PLANES * points * points * WIDTH);
    const places = [field.projected, kernels.put(positions), kernels.put(shares), kernels.put(texels), side, points];
    const { packed, bias } = field.second;
    this.place = kernels.put(Int32Array.of(...places, tables, packed, bias, field.last, 0));
    kernels.floats(this.place + 40, 1)[0] = field.lastBias;
    kernels.functions.tabulate(this.place);
    this.keys = kernels.room(BATCH);
    this.found = kernels.room(BATCH);
  }

  /**
   * Distances, not truncated.
   * @param {Int32Array} keys (i * points + j) * points + k
   * @param {(distance: number, key: number) => void} visit is given each
   */
  evaluate(keys, visit) {
    const { kernels } = this;
    for (let start = 0; start < keys.length; start += BATCH) {
      const part = keys.subarray(start, start + BATCH);
      kernels.integers(this.keys, part.length).set(part);
      kernels.functions.distances(this.place, this.keys, part.length, this.found);
      const found = kernels.floats(this.found, part.length);
      for (let i = 0; i < part.length; i++) visit(found[i], part[i]);
    }
  }

  close() {
    this.kernels.release(this.mark);
  }
}
