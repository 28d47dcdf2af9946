/** Decoder of `.vat` files: 3D shapes in 512 bytes to 4 KB. */

import { Decoder } from './decoder.js';

export { Decoder };
export { VatError } from './errors.js';
export { info } from './info.js';
export { supported } from './kernels.js';

/** The decoder that most programs need: one worker, the weights of this package. */
export const VatDecoder = new Decoder();

/** `VatDecoder.decode`. */
export function decode(bytes, options) {
  return VatDecoder.decode(bytes, options);
}
