/** The short header, version 2 of a `.vat` file: twin of meshcodec/format/short_header.py. */

export const SHORT_VERSION = 2;
export const SHORT_BYTES = 20; // of the header with its placement
/** Model ids of the shipped networks; a file holds the place in this row. */
export const MODELS = ['12a8363d', '028d2bcc'];
const CRC_AT = 8;
const STEPS = 2 ** -5; // a step of the centre, in units of the mantissas

/** What a short header holds, as it stands there, of a file of at least SHORT_BYTES bytes. */
export function readShort(data, view) {
  return {
    flags: data[4],
    model: data[5],
    count: view.getUint16(6, true),
    crc: view.getUint16(CRC_AT, true),
    steps: [10, 12, 14].map((at) => view.getInt16(at, true)),
    box: data.subarray(16, 20),
  };
}

/** Centre of the steps of a header whose unit of half-extents is known. */
export function placedAt(steps, unit) {
  return steps.map((step) => step * unit * STEPS);
}

/** The checksum that a file should have: CRC-16 with its own two bytes as zero. */
export function shortChecksum(data) {
  let register = 0xffff;
  data.forEach((byte, at) => {
    register ^= (at === CRC_AT || at === CRC_AT + 1 ? 0 : byte) << 8;
    for (let bit = 0; bit < 8; bit++) register = ((register << 1) ^ (register & 0x8000 ? 0x1021 : 0)) & 0xffff;
  });
  return register;
}
