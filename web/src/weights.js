/** Files of weights as web/export_weights.py writes them, which says what is in them. */

const TYPES = { F32: Float32Array, F16: Uint16Array, I32: Int32Array, I16: Int16Array, I8: Int8Array };

/**
 * The tensors of a file.
 * @param {Uint8Array} data gzip, or what is in it
 * @returns {Promise<Map<string, {dtype: string, shape: number[], values: Float32Array|Int32Array|Int16Array|Int8Array}>>}
 */
export async function readTensors(data) {
  const bytes = data[0] === 0x1f && data[1] === 0x8b ? await gunzip(data) : data;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const tensors = new Map();
  for (const [name, { dtype, shape, at }] of Object.entries(header)) {
    const count = shape.reduce((product, side) => product * side, 1);
    const raw = unplaned(bytes.subarray(4 + length + at), count, TYPES[dtype]);
    tensors.set(name, { dtype, shape, values: dtype === 'F16' ? halves(raw) : raw });
  }
  return tensors;
}

async function gunzip(data) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of their byte planes. */
function unplaned(planes, count, Type) {
  const size = Type.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(count * size);
  for (let plane = 0; plane < size; plane++) {
    for (let i = 0, from = plane * count, to = plane; i < count; i++, to += size) bytes[to] = planes[from + i];
  }
  return new Type(bytes.buffer);
}

let table = null; // of all half-precision numbers, by their bits

/** Numbers in half precision by their bits. */
function halves(bits) {
  table ??= Float32Array.from({ length: 1 << 16 }, (_, all) => half(all));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]];
  return values;
}

/** A half-precision number by its bits; no weights hold one that is not finite. */
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
