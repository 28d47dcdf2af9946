/** Numbers told to a decoder: twin of the decoder's half of meshcodec/format/mesh_teller.py. */

import { damaged } from '../errors.js';
import { RangeDecoder } from '../format/range_decoder.js';
import { BINS, STARTS } from './coordinates.js';
import { TOTAL } from './network.js';

export class Teller {
  /**
   * @param {import('./coder.js').MeshCoder} coder
   * @param {Uint8Array} message
   */
  constructor(coder, message) {
    this.coder = coder;
    this.range = new RangeDecoder(message);
    this.known = null; // the mesh so far, once the head has been told
  }

  /** The next symbol, by the starts of its alternatives. */
  symbol(starts) {
    return this.range.decode(starts);
  }

  /** The next of `count` values that are all as likely. */
  uniform(count) {
    const found = this.range.decodeUniform(count);
    if (found >= count) throw damaged();
    return found;
  }

  flag(kind) {
    return this.symbol(this.coder.flags[kind]) === 1;
  }

  /** A number below `count`: the class of its length, then the number within it. */
  rank(kind, count) {
    const bits = this.symbol(this.coder.ranks[kind]);
    const rank = 2 ** bits - 1 + (bits ? this.uniform(2 ** bits) : 0);
    if (rank >= count) throw damaged();
    return rank;
  }

  /** An alternative that came so often before; counts it. */
  adaptive(counts) {
    const total = counts.reduce((sum, count) => sum + count);
    const spare = TOTAL - counts.length;
    const starts = [0];
    let end = 0;
    counts.forEach((count, i) => {
      end += count;
      starts.push(Math.floor((end * spare) / total) + i + 1);
    });
    const symbol = this.symbol(starts);
    counts[symbol] += 1;
    return symbol;
  }

  /** Coordinate k of new vertices, by the first `count` questions; 3 is any of a part's first face. */
  coordinates(k, questions, count) {
    const starts = this.coder.coordinateStarts(k, questions, count);
    const values = [];
    for (let n = 0; n < count; n++) {
      const { alternatives } = questions[n];
      const symbol = this.range.decode(starts, n * STARTS, STARTS - 1);
      const room = symbol < BINS ? alternatives.room(symbol) : 0;
      values.push(alternatives.value(symbol, room > 1 ? this.uniform(room) : 0));
    }
    return values;
  }

  /** The place of a vertex, where there must be none. */
  put(number, place) {
    if (!this.known.put(number, place)) throw damaged();
  }
}
