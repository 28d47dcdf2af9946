import type { BufferGeometry, Loader, LoadingManager } from 'three';
import type { DecodeOptions, Decoder, VatBytes, VatMesh, VatMode } from './index.js';

/** `.vat` files in three.js: used like its DRACOLoader. */
export class VATLoader extends Loader<BufferGeometry> {
  constructor(manager?: LoadingManager);
  readonly decoder: Decoder;
  /** Folder with index.json; before anything is loaded. */
  setWeightsPath(path: string | URL): this;
  setWorkerLimit(limit: number): this;
  setDecodeOptions(options: Omit<DecodeOptions, 'signal'>): this;
  /** Start to fetch weights. */
  preload(mode?: VatMode | 'all'): this;
  load(
    url: string,
    onLoad: (geometry: BufferGeometry) => void,
    onProgress?: (event: ProgressEvent) => void,
    onError?: (error: unknown) => void,
  ): void;
  /** Without `onError` the promise is rejected. */
  parse(
    buffer: VatBytes,
    onLoad?: (geometry: BufferGeometry) => void,
    onError?: (error: unknown) => void,
  ): Promise<BufferGeometry | undefined>;
  dispose(): this;
}

export function geometryOf(mesh: VatMesh): BufferGeometry;
