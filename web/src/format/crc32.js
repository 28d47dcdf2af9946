/** The CRC-32 of zlib (IEEE 802.3). */

const TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * @param {Uint8Array} bytes
 * @param {number} from first byte that counts
 * @param {number} to the byte after the last that counts
 * @param {number} crc of what comes before
 * @returns {number} unsigned 32 bits
 */
export function crc32(bytes, from = 0, to = bytes.length, crc = 0) {
  let value = ~crc >>> 0;
  for (let i = from; i < to; i++) value = (value >>> 8) ^ TABLE[(value ^ bytes[i]) & 255];
  return ~value >>> 0;
}
