/** Messages of meshes: twin of the decoder's half of meshcodec/format/mesh_coder.py and grid_mesh.py. */

import { VatError, damaged } from '../errors.js';
import { Conquest } from './conquest.js';
import { Curves, PackedCurves } from './coordinates.js';
import { withCopies } from './copies.js';
import { SYMBOLS } from './front.js';
import { ByLogits, Network, startsOf } from './network.js';
import { Teller } from './teller.js';

const NETWORKS = ['first', 'second', 'third', 'seed', 'gate'];
const LEAST_BITS = 4, MOST_BITS = 12; // bits of a coordinate along the longest side
const MOST_CREASE = 12;
const FACES_PER_BIT = 64; // faces that a bit of a message holds at most
const FREE_BITS = 64; // bits that a message of fewer is taken to have besides
const SCALES = 64;
const COPIED = 8; // what the low half of a payload's first byte has more where there are copies

/**
 * A mesh on the grid of its box.
 * @typedef {object} GridMesh
 * @property {number[][]} positions whole; no two the same, but for those of copies, which come last
 * @property {number[][]} faces
 * @property {number} bits of a coordinate along the longest side
 * @property {number} crease 0 flat, 1 smooth, 2 to 12 a Loop surface with creases
 * @property {number[]} sides largest coordinates
 */

/** The networks and tables of a mesh coder. */
export class MeshCoder {
  /**
   * @param {Map<string, {shape: number[], values: ArrayLike<number>}>} tensors
   * @param {import('../kernels.js').Kernels?} kernels none: networks are computed in JavaScript
   */
  constructor(tensors, kernels) {
    const values = (name) => tensors.get(name).values;
    const rows = (name) => {
      const { shape, values: flat } = tensors.get(name);
      return Array.from({ length: shape[0] }, (_, row) => startsOf(flat.subarray(row * shape[1], (row + 1) * shape[1])));
    };
    this.networks = Object.fromEntries(
      NETWORKS.map((name) => {
        const layers = [];
        for (let n = 0; tensors.has(`${name}.weights.${n}`); n++) {
          layers.push({ weights: values(`${name}.weights.${n}`), bias: values(`${name}.biases.${n}`) });
        }
        return [name, new Network(layers, kernels)];
      }),
    );
    this.curves = new Curves(values('exponential'), values('logistic'), values('powers'));
    this.mixtures = kernels ? new PackedCurves(kernels, this.curves) : this.curves;
    this.symbols = new ByLogits(this.curves.exponential, SYMBOLS);
    this.ranks = rows('ranks');
    this.flags = rows('flags');
    this.guesses = values('guesses');
  }

  /**
   * Starts of the alternatives of coordinates.
   * @param {number} k coordinate; 3 is any of a part's first face
   * @param {import('./coordinates.js').Question[]} questions
   * @param {number} count of the questions that are asked, the first ones
   * @returns {Int32Array} STARTS for each, that hold until the next call
   */
  coordinateStarts(k, questions, count) {
    const rows = [];
    for (let n = 0; n < count; n++) rows.push(questions[n].features);
    return this.mixtures.starts(questions, count, this.networks[NETWORKS[k]].logits(rows, count));
  }

  /**
   * The mesh of a file. Throws VatError where no encoder writes such a payload.
   * @param {import('../format/container.js').VatFile} file
   * @returns {GridMesh}
   */
  decode(file) {
    const { bits, crease, copied } = payloadKind(file.payload);
    const message = file.payload.subarray(1);
    if (file.count > FACES_PER_BIT * (8 * message.length + FREE_BITS)) {
      throw new VatError('corrupt', `it announces ${file.count} faces, which ${message.length} bytes do not hold`);
    }
    const sides = gridSides(file, bits);
    const teller = new Teller(this, message);
    const scale = teller.uniform(SCALES);
    const [open, tangled, touching, branched] = [0, 1, 2, 3].map(() => teller.uniform(2) === 1);
    const head = { scale, open, tangled, touching, branched };
    const once = new Conquest(this, teller, file.count, sides, head).run();
    const { positions, faces } = copied ? withCopies(teller, once, sides) : once;
    if (once.faces.some(([i, j, k]) => i === j || j === k || k === i) || !teller.range.isWhole()) throw damaged();
    return { positions, faces, bits, crease, sides };
  }
}

/** Bits and crease code of a payload, and whether it has copies, in its first byte. */
export function payloadKind(payload) {
  if (!payload.length) throw new VatError('corrupt', 'its payload is empty');
  const bits = (payload[0] & 15) + LEAST_BITS;
  const crease = payload[0] >> 4;
  if (crease > MOST_CREASE) throw new VatError('corrupt', 'unknown kind of mesh');
  const copied = bits > MOST_BITS;
  return { bits: copied ? bits - COPIED : bits, crease, copied };
}

/** The largest coordinate along each axis: whole numbers only, so exact. */
function gridSides({ proportions, mirrored }, bits) {
  const longest = Math.max(...proportions);
  return proportions.map((side, axis) => {
    const whole = (2 ** bits - 1) * side;
    const by = longest * (mirrored[axis] ? 2 : 1);
    return Math.max(Math.floor((whole + by - 1) / by), 1);
  });
}
