/** What a file says of itself, without weights. */

import { readContainer } from './format/container.js';
import { payloadKind } from './mesh/coder.js';

const PACKINGS = ['bytes', 'coded', 'mesh'];

/**
 * @param {Uint8Array|ArrayBuffer} bytes a whole file
 * @returns {import('./index.js').VatInfo}
 */
export function info(bytes) {
  const data = asBytes(bytes);
  const file = readContainer(data);
  const kind = file.mode === 'mesh' ? payloadKind(file.payload) : null;
  return {
    mode: file.mode,
    bytes: data.length,
    version: file.version,
    modelId: file.modelId,
    packing: PACKINGS[file.packing],
    tokens: kind ? null : file.count,
    faces: kind ? file.count : null,
    bits: kind ? kind.bits : null,
    crease: kind ? kind.crease : null,
    payloadBytes: file.payload.length,
    center: file.placed ? file.center : null,
    halfExtents: file.placed ? file.halfExtents : null,
    mirrored: file.mirrored,
    isoOffset: file.isoOffset,
  };
}

/** Bytes of what callers have: a view of bytes or a buffer. */
export function asBytes(bytes) {
  if (bytes instanceof Uint8Array) return bytes;
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new TypeError('a .vat file is a Uint8Array or an ArrayBuffer');
}
