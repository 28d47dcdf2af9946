/** Decoder of `.vat` files: 3D shapes in 512 bytes to 4 KB. */

export { VatError } from './errors.js';
export { info } from './info.js';
