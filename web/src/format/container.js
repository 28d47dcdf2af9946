/** The container of a `.vat` file: twin of meshcodec/format/container.py and box.py. */

import { VatError } from '../errors.js';
import { crc32 } from './crc32.js';
import { MODELS, placedAt, readShort, SHORT_BYTES, SHORT_VERSION, shortChecksum } from './short_header.js';

const MAGIC = [0x56, 0x41, 0x54];
const LONG_VERSION = 1; // with a header that can say all there is to say
const HEADER_BYTES = 15;
const PLACEMENT_BYTES = 16;
const CRC_AT = 11;
const FLAGS = { packing: 0x03, placement: 0x10, isoOffset: 0x20, box: 0x40, mirrored: [0x04, 0x08, 0x80] };
const NEED_PLACEMENT = 0xcc;
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;
const SMALLEST_FLOAT32 = 2 ** -126; // with all its digits
const BOX_BIAS = 133; // exponent byte of mantissas that are half-extents themselves
/** Kinds of payload. */
export const BYTES = 0, CODED = 1, MESH = 2;
/** Length of one step of the iso offset, in units of the decoder's cube [-1, 1]^3. */
export const ISO_OFFSET_UNIT = 1 / 2000;

/**
 * The contents of a file.
 * @typedef {object} VatFile
 * @property {number} version
 * @property {'tokens'|'mesh'} mode
 * @property {number} packing BYTES, CODED or MESH
 * @property {string} modelId 8 hexadecimal digits
 * @property {number} count tokens or, of a mesh, coded faces
 * @property {boolean} placed whether there is a placement
 * @property {number[]} center x, y, z in the frame of the mesh
 * @property {number[]} halfExtents x, y, z
 * @property {number[]} proportions whole numbers in the ratio of the half-extents
 * @property {boolean[]} mirrored across x, y, z
 * @property {number} isoOffset in units of ISO_OFFSET_UNIT
 * @property {Uint8Array} payload
 */

/**
 * Read a whole file. Safe for bytes from anyone. Throws VatError.
 * @param {Uint8Array} data
 * @returns {VatFile}
 */
export function readContainer(data) {
  checkStart(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return data[3] === SHORT_VERSION ? readShortFile(data, view) : readLongFile(data, view);
}

function readLongFile(data, view) {
  const flags = data[4];
  const count = view.getUint16(9, true);
  const placed = Boolean(flags & FLAGS.placement);
  if (flags & NEED_PLACEMENT && !placed) {
    throw corrupt(`the flags 0x${hex(flags)} need a placement and there is none`);
  }
  const packing = checkedPacking(flags, count);
  if (packing === MESH && !placed) throw corrupt(`the flags 0x${hex(flags)} are none of a mesh`);
  const isoAt = HEADER_BYTES + (placed ? PLACEMENT_BYTES : 0);
  const payloadAt = isoAt + (flags & FLAGS.isoOffset ? 1 : 0);
  checkLength(data.length, payloadAt, packing === BYTES ? count : null);
  if (view.getUint32(CRC_AT, true) !== checksum(data)) throw corrupt(DAMAGED);
  return {
    version: LONG_VERSION,
    modelId: Array.from(data.subarray(5, 9), hex).join(''),
    placed,
    ...(placed ? readPlacement(data, view, flags) : CUBE),
    ...readRest(data, view, flags, count, payloadAt),
  };
}

function readShortFile(data, view) {
  const { flags, model, count, crc, steps, box } = readShort(data, view);
  const packing = checkedPacking(flags, count);
  if (flags & (FLAGS.placement | FLAGS.box)) {
    throw new VatError('newer-version', `unknown flags 0x${hex(flags)}: a newer meshcodec is needed`);
  }
  const payloadAt = SHORT_BYTES + (flags & FLAGS.isoOffset ? 1 : 0);
  checkLength(data.length, payloadAt, packing === BYTES ? count : null);
  if (crc !== shortChecksum(data)) throw corrupt(DAMAGED);
  if (model >= MODELS.length) {
    throw new VatError('newer-version', `unknown model number ${model}: a newer meshcodec is needed`);
  }
  const { unit, ...extents } = readBox(box, true);
  const center = placedAt(steps, unit);
  if (center.some((value) => Math.abs(value) > LARGEST_FLOAT32)) {
    throw corrupt("bad placement: its centre is outside float32's range");
  }
  return {
    version: SHORT_VERSION,
    modelId: MODELS[model],
    placed: true,
    center,
    ...extents,
    ...readRest(data, view, flags, count, payloadAt),
  };
}

function readRest(data, view, flags, count, payloadAt) {
  const packing = flags & FLAGS.packing;
  const isoOffset = flags & FLAGS.isoOffset ? view.getInt8(payloadAt - 1) : 0;
  if (flags & FLAGS.isoOffset && isoOffset === 0) throw corrupt('an iso offset of 0 is not stored');
  return {
    mode: packing === MESH ? 'mesh' : 'tokens',
    packing,
    count,
    mirrored: FLAGS.mirrored.map((bit) => Boolean(flags & bit)),
    isoOffset,
    payload: data.slice(payloadAt),
  };
}

const DAMAGED = 'damaged: the checksum does not match';
const CUBE = { center: [0, 0, 0], halfExtents: [1, 1, 1], proportions: [1, 1, 1] };

function corrupt(message) {
  return new VatError('corrupt', message);
}

function hex(byte) {
  return byte.toString(16).padStart(2, '0');
}

function checksum(data) {
  const head = crc32(new Uint8Array(4), 0, 4, crc32(data, 0, CRC_AT));
  return crc32(data, HEADER_BYTES, data.length, head);
}

function checkStart(data) {
  if (data.length === 0) throw new VatError('truncated', 'the file is empty (0 bytes)');
  const letters = Math.min(data.length, MAGIC.length);
  if (MAGIC.slice(0, letters).some((letter, i) => letter !== data[i])) {
    throw new VatError('not-vat', 'not a .vat file');
  }
  const version = data.length > 3 ? data[3] : LONG_VERSION;
  if (version > SHORT_VERSION) {
    throw new VatError('newer-version', `format version ${version} is newer than ${SHORT_VERSION}`);
  }
  if (version < LONG_VERSION) throw corrupt(`there is no format version ${version}`);
  const least = version === SHORT_VERSION ? SHORT_BYTES : HEADER_BYTES;
  if (data.length < least) {
    throw new VatError('truncated', `too short: ${data.length} bytes, and the header alone is ${least}`);
  }
}

function checkedPacking(flags, count) {
  const packing = flags & FLAGS.packing;
  if (packing === 3) throw new VatError('newer-version', 'unknown packing 3: a newer meshcodec is needed');
  if (packing === MESH && flags & FLAGS.isoOffset) throw corrupt(`the flags 0x${hex(flags)} are none of a mesh`);
  if (packing === MESH && count === 0) throw corrupt('its mesh has no faces');
  return packing;
}

function checkLength(size, payloadAt, payload) {
  const whole = payloadAt + (payload ?? 0);
  const message = `wrong length: ${size} bytes where the header says ${whole}`;
  if (size < whole) throw new VatError('truncated', message);
  if (payload !== null && size !== whole) throw corrupt(message);
}

function readPlacement(data, view, flags) {
  const center = [0, 4, 8].map((at) => view.getFloat32(HEADER_BYTES + at, true));
  if (!center.every(Number.isFinite)) throw corrupt('bad placement: its centre is not finite');
  const at = HEADER_BYTES + 12;
  if (!(flags & FLAGS.box)) {
    const scale = view.getFloat32(at, true);
    if (!(Number.isFinite(scale) && scale > 0)) throw corrupt(`bad placement: scale ${scale}`);
    return { center, halfExtents: [scale, scale, scale], proportions: [1, 1, 1] };
  }
  const { unit: _, ...extents } = readBox(data.subarray(at, at + 4), false);
  return { center, ...extents };
}

/** Half-extents, their ratio and the unit of their mantissas; whether these may be equal depends on the header. */
function readBox(box, mayBeEqual) {
  const mantissas = Array.from(box.subarray(0, 3));
  const unit = 2 ** (box[3] - BOX_BIAS);
  const longest = Math.max(...mantissas);
  const equal = mantissas[0] === mantissas[1] && mantissas[1] === mantissas[2];
  const inRange = longest * unit >= SMALLEST_FLOAT32 && longest * unit <= LARGEST_FLOAT32;
  if (Math.min(...mantissas) === 0 || longest < 128 || (equal && !mayBeEqual) || !inRange) {
    throw corrupt('bad placement: its box is not of the form that is written');
  }
  return { unit, halfExtents: mantissas.map((m) => m * unit), proportions: mantissas };
}
