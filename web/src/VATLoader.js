/** `.vat` files in three.js: used like its DRACOLoader. */

import { BufferAttribute, BufferGeometry, FileLoader, Loader } from 'three';
import { Decoder } from './decoder.js';

export class VATLoader extends Loader {
  constructor(manager) {
    super(manager);
    this.decoder = new Decoder();
    this.options = {};
  }

  /** Folder with index.json, where it is not that of this package; before anything is loaded. */
  setWeightsPath(path) {
    this.decoder.setWeightsPath(path);
    return this;
  }

  /** Workers at most; each holds weights. */
  setWorkerLimit(limit) {
    this.decoder.setWorkerLimit(limit);
    return this;
  }

  /** What `Decoder.decode` is given: resolution, tokens, faces. */
  setDecodeOptions(options) {
    this.options = { ...options };
    return this;
  }

  /** Start to fetch weights: those of `mesh`, of `tokens` or of both. */
  preload(mode = 'all') {
    this.decoder.preload(mode).catch((error) => console.error(error)); // whoever decodes is told as well
    return this;
  }

  load(url, onLoad, onProgress, onError) {
    const loader = new FileLoader(this.manager);
    loader.setPath(this.path);
    loader.setResponseType('arraybuffer');
    loader.setRequestHeader(this.requestHeader);
    loader.setWithCredentials(this.withCredentials);
    const failed = (error) => {
      if (onError) onError(error);
      else console.error(error);
      this.manager.itemError(url);
    };
    loader.load(url, (buffer) => this.parse(buffer, onLoad, failed), onProgress, failed);
  }

  /**
   * The bytes of a file to a geometry, in the frame of the original.
   * @param {ArrayBuffer|Uint8Array} buffer
   * @param {(geometry: BufferGeometry) => void} [onLoad]
   * @param {(error: Error) => void} [onError] without it the promise is rejected
   * @returns {Promise<BufferGeometry|undefined>}
   */
  async parse(buffer, onLoad, onError) {
    let geometry;
    try {
      geometry = geometryOf(await this.decoder.decode(buffer, this.options));
    } catch (error) {
      if (!onError) throw error;
      onError(error);
      return undefined;
    }
    onLoad?.(geometry);
    return geometry;
  }

  dispose() {
    this.decoder.dispose();
    return this;
  }
}

/** A decoded mesh as a geometry with normals; `userData.vat` has its mode and whether it is closed. */
export function geometryOf({ positions, indices, mode, closed }) {
  const geometry = new BufferGeometry();
  geometry.setIndex(new BufferAttribute(indices, 1));
  geometry.setAttribute('position', new BufferAttribute(positions, 3));
  geometry.computeVertexNormals();
  geometry.userData.vat = { mode, closed };
  return geometry;
}
