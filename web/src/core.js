/** Decoding, in the thread that calls it: what a worker runs. */

import { VatError } from './errors.js';
import { BYTES, MESH, readContainer } from './format/container.js';
import { TokenCoder } from './format/token_decoder.js';
import { Loader } from './loader.js';
import { MeshCoder } from './mesh/coder.js';
import { surfaceOf } from './mesh/surface.js';

export class Core {
  /** @param {string|URL} weights the folder with index.json */
  constructor(weights) {
    this.loader = new Loader(weights);
  }

  /** The integers of a file in mesh mode. */
  async gridMesh(file) {
    const entry = await this.loader.entry('meshCoders', file.modelId);
    const coder = await this.loader.once(`coder ${file.modelId}`, async () => new MeshCoder(await this.loader.tensors(entry)));
    return coder.decode(file);
  }

  /** The tokens of a file in tokens mode. */
  async tokens(file) {
    const { config, tokens } = await this.loader.entry('models', file.modelId);
    const most = config.scale_sides.reduce((sum, side) => sum + 3 * side * side, 0);
    if (file.count < 1 || file.count > most) {
      throw new VatError('corrupt', `${file.count} tokens, the model has 1 to ${most}`);
    }
    if (file.packing === BYTES) return file.payload;
    const coder = await this.loader.once(
      `coder ${file.modelId}`,
      async () => new TokenCoder(await this.loader.tensors(tokens), config.scale_sides),
    );
    return coder.decode(file.payload, file.count);
  }

  /** The surface of a file in mesh mode. */
  async decodeMesh(file, faces) {
    return surfaceOf(await this.gridMesh(file), file, faces);
  }
}

export { MESH, readContainer };
