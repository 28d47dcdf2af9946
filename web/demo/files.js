/** Meshes as files, and files as links. */

/** A mesh as OBJ text. */
export function toObj({ positions, indices }) {
  const lines = [];
  for (let i = 0; i < positions.length; i += 3) lines.push(`v ${positions[i]} ${positions[i + 1]} ${positions[i + 2]}`);
  for (let i = 0; i < indices.length; i += 3) lines.push(`f ${indices[i] + 1} ${indices[i + 1] + 1} ${indices[i + 2] + 1}`);
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}

/** A mesh as binary STL. */
export function toStl({ positions, indices }) {
  const count = indices.length / 3;
  const view = new DataView(new ArrayBuffer(84 + 50 * count));
  view.setUint32(80, count, true);
  for (let face = 0; face < count; face++) {
    const corners = [0, 1, 2].map((k) => positions.subarray(3 * indices[3 * face + k], 3 * indices[3 * face + k] + 3));
    const [u, v] = [corners[1].map((x, i) => x - corners[0][i]), corners[2].map((x, i) => x - corners[0][i])];
    const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    const length = Math.hypot(...normal) || 1;
    [...normal.map((x) => x / length), ...corners.flatMap((corner) => [...corner])].forEach((value, i) => {
      view.setFloat32(84 + 50 * face + 4 * i, value, true);
    });
  }
  return new Uint8Array(view.buffer);
}

/** A mesh as binary glTF 2.0. */
export function toGlb({ positions, indices }) {
  const bounds = [0, 1, 2].map((axis) => {
    let [low, high] = [Infinity, -Infinity];
    for (let i = axis; i < positions.length; i += 3) [low, high] = [Math.min(low, positions[i]), Math.max(high, positions[i])];
    return [low, high];
  });
  const views = [
    { buffer: 0, byteOffset: 0, byteLength: positions.byteLength, target: 34962 },
    { buffer: 0, byteOffset: positions.byteLength, byteLength: indices.byteLength, target: 34963 },
  ];
  const json = {
    asset: { version: '2.0', generator: 'meshcodec' },
    scene: 0,
    scenes: [{ nodes: [0] }],
    nodes: [{ mesh: 0 }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0 }, indices: 1 }] }],
    accessors: [
      { bufferView: 0, componentType: 5126, count: positions.length / 3, type: 'VEC3', min: bounds.map(([low]) => low), max: bounds.map(([, high]) => high) },
      { bufferView: 1, componentType: 5125, count: indices.length, type: 'SCALAR' },
    ],
    bufferViews: views,
    buffers: [{ byteLength: positions.byteLength + indices.byteLength }],
  };
  const text = new TextEncoder().encode(JSON.stringify(json));
  const words = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(32);
  words.set(text);
  const body = positions.byteLength + indices.byteLength;
  const glb = new Uint8Array(28 + words.length + body);
  const view = new DataView(glb.buffer);
  [0x46546c67, 2, glb.length, words.length, 0x4e4f534a].forEach((word, i) => view.setUint32(4 * i, word, true));
  glb.set(words, 20);
  view.setUint32(20 + words.length, body, true);
  view.setUint32(24 + words.length, 0x004e4942, true);
  glb.set(new Uint8Array(positions.buffer, positions.byteOffset, positions.byteLength), 28 + words.length);
  glb.set(new Uint8Array(indices.buffer, indices.byteOffset, indices.byteLength), 28 + words.length + positions.byteLength);
  return glb;
}

export const EXPORTS = { obj: [toObj, 'model/obj'], stl: [toStl, 'model/stl'], glb: [toGlb, 'model/gltf-binary'] };

/** Lets the browser save bytes. */
export function save(bytes, name, type) {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Bytes as base64url, without padding. */
export function toBase64url(bytes) {
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The reverse of `toBase64url`. Throws Error: it is no base64url. */
export function fromBase64url(text) {
  if (!/^[\w-]*$/.test(text)) throw new Error('the link holds no file: its data is not base64url');
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  } catch {
    throw new Error('the link holds no file: its data is cut off');
  }
}

/** An original of the gallery: see make_gallery.py. */
export async function readOriginal(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched: status ${response.status}`);
  const plain = response.body.pipeThrough(new DecompressionStream('gzip'));
  const bytes = new Uint8Array(await new Response(plain).arrayBuffer());
  const [vertices, faces] = new Uint32Array(bytes.buffer, 0, 2);
  const count = 3 * (vertices + faces);
  const number = (i) => bytes[8 + i] + 256 * bytes[8 + count + i];
  const positions = Float32Array.from({ length: 3 * vertices }, (_, i) => number((i % 3) * vertices + Math.floor(i / 3)) / 32767.5 - 1);
  const indices = Uint32Array.from({ length: 3 * faces }, (_, i) => number(3 * vertices + (i % 3) * faces + Math.floor(i / 3)));
  return { positions, indices };
}
