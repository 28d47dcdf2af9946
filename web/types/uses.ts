/** Compiled by the tests, never run: uses all of the declarations as programs do. */

import { Decoder, VatDecoder, VatError, decode, info, supported, type VatInfo, type VatMesh } from 'meshcodec';
import { VATLoader, geometryOf } from 'meshcodec/three';
import type { BufferGeometry } from 'three';

export async function uses(bytes: Uint8Array, signal: AbortSignal): Promise<BufferGeometry> {
  const about: VatInfo = info(bytes);
  const decoder = new Decoder({ weights: 'https://example.org/weights/', workers: 2 }).setWorkerLimit(3);
  await decoder.ready;
  const mesh: VatMesh = await decoder.decode(bytes.buffer, { resolution: 128, tokens: about.tokens ?? undefined, signal });
  const ends: number[] = await VatDecoder.scales(bytes);
  try {
    await decode(bytes);
  } catch (error) {
    if (error instanceof VatError && error.code === 'truncated' && supported) console.log(ends, error.message);
  }
  const loader = new VATLoader().setWeightsPath('weights/').setWorkerLimit(2).setDecodeOptions({ faces: 1000 }).preload('mesh');
  const loaded: BufferGeometry = await loader.loadAsync('shape.vat');
  loader.dispose();
  decoder.dispose();
  return mesh.closed ? loaded : geometryOf(mesh);
}
// @ts-expect-error a mesh has no such member
export const missing = (mesh: VatMesh) => mesh.vertices;
