/** Tokens to planes: the quantizer's and the decoder's networks, as docs/format.md has them. */

import { scalesStarted } from '../format/token_decoder.js';

const PLANES = 3;
const DIGITS = 4;

/** The decoder of one model, its weights in the memory of the kernels. */
export class PlanesDecoder {
  /**
   * @param {import('../kernels.js').Kernels} kernels
   * @param {Map<string, {shape: number[], values: Float32Array}>} tensors
   * @param {object} config shape of the model
   */
  constructor(kernels, tensors, config) {
    this.kernels = kernels;
    this.config = config;
    const values = (name) => tensors.get(name).values;
    const linear = (name) => {
      const [outputs, inputs] = tensors.get(`${name}.weight`).shape;
      return kernels.layer(values(`${name}.weight`), values(`${name}.bias`), outputs, inputs);
    };
    const convolution = (name) => {
      const { shape, values: weights } = tensors.get(`${name}.weight`);
      return kernels.layer(channelsLast(weights, shape), values(`${name}.bias`), shape[0], 9 * shape[1]);
    };
    const norm = (name) => ({ weight: kernels.put(values(`${name}.weight`)), bias: kernels.put(values(`${name}.bias`)) });
    this.scales = config.scale_sides.map((_, scale) => ({
      up: values(`quantizer.scales.${scale}.up.weight`),
      bias: values(`quantizer.scales.${scale}.up.bias`),
      smooth: convolution(`quantizer.scales.${scale}.smooth`),
    }));
    this.embed = linear('decoder.embed');
    this.triplane = kernels.put(values('decoder.triplane'));
    this.blocks = Array.from({ length: config.decoder_blocks }, (_, number) => {
      const name = `decoder.blocks.${number}`;
      const parts = ['qkv', 'project', 'up', 'down'].map((part) => [part, linear(`${name}.${part}`)]);
      return { ...Object.fromEntries(parts), norm1: norm(`${name}.norm1`), norm2: norm(`${name}.norm2`) };
    });
    this.norm = norm('decoder.norm');
    this.out = linear('decoder.out');
    this.convolutions = Object.fromEntries(
      ['skip', 'at_quarter.first', 'at_quarter.second', 'to_half', 'at_half.first', 'at_half.second', 'to_full', 'at_full'].map(
        (name) => [name, convolution(`decoder.${name}`)],
      ),
    );
  }

  /**
   * The latent of tokens.
   * @param {Uint8Array} tokens a prefix of those of the model
   * @returns {number} place of (3, side, side, channels) numbers
   */
  latent(tokens) {
    const { kernels, config } = this;
    const { latent_side: side, latent_channels: channels } = config;
    const size = side * side * channels;
    const total = kernels.room(PLANES * size);
    kernels.floats(total, PLANES * size).fill(0);
    const mark = kernels.room(4);
    const grown = kernels.room(size);
    const framed = kernels.room((side + 2) * (side + 2) * channels);
    let first = 0;
    for (let scale = 0; scale < scalesStarted(config.scale_sides, tokens.length); scale++) {
      const n = config.scale_sides[scale];
      for (let plane = 0; plane < PLANES; plane++) {
        const cells = this.expanded(scale, tokens, first + plane * n * n);
        grow(cells, n, channels, side, kernels.floats(grown, size));
        kernels.functions.frame(grown, side, channels, 0, framed);
        const { packed, bias, outputs } = this.scales[scale].smooth;
        const to = total + 4 * plane * size;
        kernels.functions.add(to, grown, size);
        kernels.functions.convolve(framed, side, channels, packed, bias, outputs, to, 1);
      }
      first += PLANES * n * n;
    }
    kernels.release(mark);
    return total;
  }

  /** The cells of a scale in one plane: a linear layer of the code values; absent tokens have the value 0. */
  expanded(scale, tokens, first) {
    const { up, bias } = this.scales[scale];
    const n = this.config.scale_sides[scale];
    const channels = bias.length;
    const cells = new Float32Array(n * n * channels);
    for (let cell = 0; cell < n * n; cell++) {
      const token = tokens[first + cell];
      for (let channel = 0; channel < channels; channel++) {
        let sum = bias[channel];
        for (let digit = 0; token !== undefined && digit < DIGITS; digit++) {
          sum += up[channel * DIGITS + digit] * (((token >> (2 * digit)) & 3) - 1.5);
        }
        cells[cell * channels + channel] = sum;
      }
    }
    return cells;
  }

  /**
   * @param {Uint8Array} tokens
   * @returns {number} place of (3, plane side, plane side, channels) numbers
   */
  planes(tokens) {
    const { kernels, config } = this;
    const [wide, middle, narrow] = config.plane_channels;
    const { latent_side: side, plane_side: planeSide, latent_channels: channels } = config;
    const planes = kernels.room(PLANES * planeSide * planeSide * narrow);
    const latent = this.latent(tokens);
    const images = this.transformed(latent);
    for (let plane = 0; plane < PLANES; plane++) {
      const mark = kernels.room(4);
      const image = images + 4 * plane * side * side * wide;
      this.convolve('skip', latent + 4 * plane * side * side * channels, side, 0, image, 1);
      this.residual('at_quarter', image, side, wide);
      const half = this.grown('to_half', image, side, 0, middle);
      this.residual('at_half', half, 2 * side, middle);
      const full = this.grown('to_full', half, 2 * side, 0, narrow);
      this.convolve('at_full', full, 4 * side, 1, planes + 4 * plane * planeSide * planeSide * narrow, 0);
      kernels.release(mark);
    }
    kernels.release(latent);
    return planes;
  }

  /** A 3 x 3 convolution of an image, through GELU before it if wanted, to a place or added to what is there. */
  convolve(name, image, side, throughGelu, out, more) {
    const { packed, bias, inputs, outputs } = this.convolutions[name];
    const { functions } = this.kernels;
    const framed = this.kernels.room(((side + 2) * (side + 2) * inputs) / 9);
    functions.frame(image, side, inputs / 9, throughGelu, framed);
    functions.convolve(framed, side, inputs / 9, packed, bias, outputs, out, more);
    this.kernels.release(framed);
  }

  /** Adds what two convolutions make of an image to it. */
  residual(name, image, side, channels) {
    const hidden = this.kernels.room(side * side * channels);
    this.convolve(`${name}.first`, image, side, 1, hidden, 0);
    this.convolve(`${name}.second`, hidden, side, 1, image, 1);
    this.kernels.release(hidden);
  }

  /** An image of twice the side. */
  grown(name, image, side, throughGelu, channels) {
    const out = this.kernels.room(4 * side * side * channels);
    const parts = this.kernels.room(4 * side * side * channels);
    this.convolve(name, image, side, throughGelu, parts, 0);
    this.kernels.functions.shuffle(parts, side, channels, out);
    this.kernels.release(parts);
    return out;
  }

  linear({ packed, bias, inputs, outputs }, x, count, out, more = 0) {
    this.kernels.functions.linear(x, count, inputs, packed, bias, outputs, out, more);
  }

  normalize({ weight, bias }, x, count, width, out) {
    this.kernels.functions.normalize(x, count, width, weight, bias, out);
  }

  /** The transformer: the latent to images (3, side, side, channels). */
  transformed(latent) {
    const { kernels, config } = this;
    const { latent_side: side, patch, width, heads } = config;
    const small = side / patch;
    const count = PLANES * small * small;
    const wide = config.plane_channels[0];
    const images = kernels.room(PLANES * side * side * wide);
    const mark = kernels.room(4);
    const patches = kernels.room(count * this.embed.inputs);
    kernels.floats(patches, count * this.embed.inputs).set(
      patched(kernels.floats(latent, count * this.embed.inputs), side, patch, config.latent_channels),
    );
    const x = kernels.room(count * width);
    const normed = kernels.room(count * width);
    const hidden = kernels.room(count * width * Math.max(PLANES, config.mlp_ratio, (patch * patch * wide) / width));
    this.linear(this.embed, patches, count, x);
    kernels.functions.add(x, this.triplane, count * width);
    for (const block of this.blocks) {
      this.normalize(block.norm1, x, count, width, normed);
      this.linear(block.qkv, normed, count, hidden);
      kernels.functions.attend(hidden, small, heads, width / heads, normed);
      this.linear(block.project, normed, count, x, 1);
      this.normalize(block.norm2, x, count, width, normed);
      this.linear(block.up, normed, count, hidden);
      kernels.functions.gelu(hidden, count * block.up.outputs);
      this.linear(block.down, hidden, count, x, 1);
    }
    this.normalize(this.norm, x, count, width, normed);
    this.linear(this.out, normed, count, hidden);
    unpatched(kernels.floats(hidden, count * this.out.outputs), side, patch, wide, kernels.floats(images, PLANES * side * side * wide));
    kernels.release(mark);
    return images;
  }
}

/** Weights (outputs, channels, 3, 3) to (outputs, 3, 3, channels). */
function channelsLast(weights, [outputs, channels]) {
  const result = new Float32Array(weights.length);
  for (let output = 0, at = 0; output < outputs; output++) {
    for (let tap = 0; tap < 9; tap++) {
      for (let channel = 0; channel < channels; channel++) result[at++] = weights[(output * channels + channel) * 9 + tap];
    }
  }
  return result;
}

/** Calls `visit(patch's number, place in it, pixel)` for all pixels of images (3, side, side). */
function eachPixel(side, patch, visit) {
  const small = side / patch;
  for (let plane = 0; plane < PLANES; plane++) {
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const number = (plane * small + Math.floor(row / patch)) * small + Math.floor(column / patch);
        visit(number, (row % patch) * patch + (column % patch), (plane * side + row) * side + column);
      }
    }
  }
}

/** Images (3, side, side, channels) to patches, a row each. */
function patched(images, side, patch, channels) {
  const rows = new Float32Array(images.length);
  eachPixel(side, patch, (number, place, pixel) => {
    const from = images.subarray(pixel * channels, (pixel + 1) * channels);
    rows.set(from, (number * patch * patch + place) * channels);
  });
  return rows;
}

/** The reverse of `patched`. */
function unpatched(rows, side, patch, channels, images) {
  eachPixel(side, patch, (number, place, pixel) => {
    const at = (number * patch * patch + place) * channels;
    images.set(rows.subarray(at, at + channels), pixel * channels);
  });
}

/** Cells (n, n, channels) to (side, side, channels): bilinear. */
function grow(cells, n, channels, side, out) {
  const lows = new Int32Array(side);
  const highs = new Int32Array(side);
  const shares = new Float64Array(side);
  for (let i = 0; i < side; i++) {
    const at = Math.min(Math.max(((i + 0.5) * n) / side - 0.5, 0), n - 1);
    lows[i] = Math.floor(at);
    highs[i] = Math.min(lows[i] + 1, n - 1);
    shares[i] = at - lows[i];
  }
  for (let row = 0, to = 0; row < side; row++) {
    const [above, below, down] = [lows[row] * n, highs[row] * n, shares[row]];
    for (let column = 0; column < side; column++) {
      const [left, right, along] = [lows[column], highs[column], shares[column]];
      const weights = [(1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along];
      const at = [above + left, above + right, below + left, below + right].map((cell) => cell * channels);
      for (let c = 0; c < channels; c++, to++) {
        out[to] =
          weights[0] * cells[at[0] + c] + weights[1] * cells[at[1] + c] +
          weights[2] * cells[at[2] + c] + weights[3] * cells[at[3] + c];
      }
    }
  }
}
