/** Decoding, in the thread that calls it: what a worker runs. */

import { VatError } from './errors.js';
import { BYTES, readContainer } from './format/container.js';
import { TokenCoder } from './format/token_decoder.js';
import { Kernels, supported } from './kernels.js';
import { Loader } from './loader.js';
import { MeshCoder } from './mesh/coder.js';
import { surfaceOf } from './mesh/surface.js';
import { decodeTokens } from './tokens/decode.js';
import { PlanesDecoder } from './tokens/planes.js';

export class Core {
  /** @param {string|URL} weights the folder with index.json */
  constructor(weights) {
    this.loader = new Loader(weights);
    this.kernelsPromise = null;
  }

  /** The kernels; null where the engine has no SIMD. */
  kernels() {
    this.kernelsPromise ??= supported ? Kernels.load() : Promise.resolve(null);
    return this.kernelsPromise;
  }

  /** The coder of a mesh by its id; without SIMD it works more slowly. */
  async meshCoder(id) {
    const entry = await this.loader.entry('meshCoders', id);
    return this.loader.once(`mesh coder ${id}`, async () => {
      const [tensors, kernels] = await Promise.all([this.loader.tensors(entry), this.kernels()]);
      return new MeshCoder(tensors, kernels);
    });
  }

  /** The entropy model of a model by its id. */
  async tokenCoder(id) {
    const { config, tokens } = await this.loader.entry('models', id);
    return this.loader.once(
      `token coder ${id}`,
      async () => new TokenCoder(await this.loader.tensors(tokens), config.scale_sides),
    );
  }

  /** What decodes the tokens of a model, by its id. Throws VatError: the engine has no SIMD. */
  async model(id) {
    if (!supported) throw new VatError('unsupported', 'this engine has no WebAssembly with SIMD');
    const { config, planes } = await this.loader.entry('models', id);
    return this.loader.once(`model ${id}`, async () => {
      const [tensors, kernels] = await Promise.all([this.loader.tensors(planes), this.kernels()]);
      return { kernels, tensors, config, decoder: new PlanesDecoder(kernels, tensors, config) };
    });
  }

  /** The integers of a parsed file in mesh mode. */
  async gridMesh(file) {
    return (await this.meshCoder(file.modelId)).decode(file);
  }

  /** The tokens of a parsed file in tokens mode. */
  async tokens(file) {
    const { config } = await this.loader.entry('models', file.modelId);
    const most = config.scale_sides.reduce((sum, side) => sum + 3 * side * side, 0);
    if (file.count < 1 || file.count > most) {
      throw new VatError('corrupt', `${file.count} tokens, the model has 1 to ${most}`);
    }
    if (file.packing === BYTES) return file.payload;
    return (await this.tokenCoder(file.modelId)).decode(file.payload, file.count);
  }

  /**
   * A file to a mesh.
   * @param {Uint8Array} bytes a whole file
   * @param {{resolution?: number|null, tokens?: number|null, faces?: number}} options see `Decoder.decode`
   */
  async decode(bytes, { resolution = null, tokens = null, faces } = {}) {
    const file = readContainer(bytes);
    if (file.mode === 'mesh') {
      return { mode: 'mesh', cells: null, ...surfaceOf(await this.gridMesh(file), file, faces) };
    }
    if (tokens !== null && !(Number.isInteger(tokens) && tokens >= 1 && tokens <= file.count)) {
      throw new VatError('usage', `tokens ${tokens} are out of range: the file holds ${file.count}`);
    }
    // Both are fetched at once; a file whose tokens are damaged is refused before the model is used.
    const [found, model] = await Promise.all([this.tokens(file), this.model(file.modelId)]);
    return { mode: 'tokens', ...decodeTokens(model, found.subarray(0, tokens ?? found.length), file, resolution) };
  }

  /** Fetch what files of a mode need, of all ids. */
  async preload(mode) {
    const index = await this.loader.index();
    if (mode !== 'tokens') await Promise.all(Object.keys(index.meshCoders).map((id) => this.meshCoder(id)));
    if (mode !== 'mesh') {
      await Promise.all(Object.keys(index.models).flatMap((id) => [this.tokenCoder(id), this.model(id)]));
    }
  }
}
