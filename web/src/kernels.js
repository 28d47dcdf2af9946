/** The WebAssembly module of web/wasm/, and its memory. */

import { VatError } from './errors.js';
import { fetchBytes } from './loader.js';

/** A module that uses one SIMD instruction: an engine without SIMD does not take it. */
const PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** Whether the engine has WebAssembly with SIMD. */
export const supported = typeof WebAssembly === 'object' && WebAssembly.validate(PROBE);

/** Functions of web/wasm/, and the arrays that they work on; places in the memory are byte offsets. */
export class Kernels {
  /** @param {WebAssembly.Exports} exports */
  constructor(exports) {
    this.functions = exports;
    this.memory = exports.memory;
  }

  static async load() {
    if (!supported) throw new VatError('unsupported', 'this engine has no WebAssembly with SIMD');
    const bytes = await fetchBytes(new URL('./kernels.wasm', import.meta.url));
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Kernels(instance.exports);
  }

  /** Room for numbers of 4 bytes, until `release`. */
  room(count) {
    const place = this.functions.allocate(4 * count) >>> 0;
    if (place === 0) throw new VatError('usage', 'out of memory: choose a smaller resolution');
    return place;
  }

  /** All that was given out from this place on is free again. */
  release(place) {
    this.functions.release(place);
  }

  /** Numbers in the memory: a view that holds until more room is given out. */
  floats(place, count) {
    return new Float32Array(this.memory.buffer, place, count);
  }

  integers(place, count) {
    return new Int32Array(this.memory.buffer, place, count);
  }

  doubles(place, count) {
    return new Float64Array(this.memory.buffer, place, count);
  }

  shorts(place, count) {
    return new Int16Array(this.memory.buffer, place, count);
  }

  /** Numbers copied into the memory. */
  put(values) {
    const place = this.room(values.length);
    if (values instanceof Int32Array) this.integers(place, values.length).set(values);
    else this.floats(place, values.length).set(values);
    return place;
  }

  /** Weights (outputs, inputs) as the kernels read them, with their bias. */
  layer(weights, bias, outputs, inputs) {
    const padded = Math.ceil(outputs / 8) * 8;
    const packed = this.room(padded * inputs);
    const biases = new Float32Array(padded);
    if (bias) biases.set(bias);
    const layer = { packed, bias: this.put(biases), inputs, outputs: padded };
    const raw = this.put(weights);
    this.functions.pack(raw, outputs, inputs, packed);
    this.release(raw);
    return layer;
  }
}
