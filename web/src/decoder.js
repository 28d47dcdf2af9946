/** A decoder that works in workers. */

import { VatError } from './errors.js';
import { readContainer } from './format/container.js';
import { asBytes, info } from './info.js';
import { supported } from './kernels.js';
import { Loader } from './loader.js';
import { startWorker } from './threads.js';
import { MAX_RESOLUTION, MIN_RESOLUTION } from './tokens/limits.js';

const WEIGHTS = new URL('../weights/', import.meta.url);

/** Decodes files, one in each worker at a time, in the order in which they come. */
export class Decoder {
  /** @param {{weights?: string|URL, workers?: number}} [options] folder of the weights, and workers at most */
  constructor({ weights = WEIGHTS, workers = 1 } = {}) {
    this.setWeightsPath(weights);
    this.setWorkerLimit(workers);
    this.threads = new Set();
    this.waiting = [];
    this.jobs = 0;
  }

  /** Whether the engine has WebAssembly with SIMD; without it files in tokens mode do not decode. */
  get supported() {
    return supported;
  }

  /** Resolves once a worker runs. */
  get ready() {
    return (this.threads.values().next().value ?? this.start()).started;
  }

  /** The folder with index.json; only before anything was decoded. */
  setWeightsPath(path) {
    if (this.threads?.size) throw new VatError('usage', 'workers have the weights of another folder');
    this.loader = new Loader(path);
    return this;
  }

  /** Workers at most; each holds weights and works alone. */
  setWorkerLimit(limit) {
    if (!(Number.isInteger(limit) && limit >= 1)) throw new VatError('usage', `${limit} workers`);
    this.limit = limit;
    return this;
  }

  /**
   * A file to a mesh.
   * @param {Uint8Array|ArrayBuffer} bytes a whole file
   * @param {object} [options]
   * @param {number|null} [options.resolution] tokens: cells a side of the grid, 16 to 256; null: as many as give
   *   about 250 000 faces, at most 160
   * @param {number|null} [options.tokens] tokens: only so many of them, coarse to fine
   * @param {number} [options.faces] mesh: faces of a subdivision surface, at most
   * @param {AbortSignal} [options.signal]
   */
  async decode(bytes, { resolution = null, tokens = null, faces, signal } = {}) {
    const data = asBytes(bytes);
    if (resolution !== null && !(Number.isInteger(resolution) && resolution >= MIN_RESOLUTION && resolution <= MAX_RESOLUTION)) {
      throw new VatError('usage', `resolution ${resolution} is out of range: ${MIN_RESOLUTION} to ${MAX_RESOLUTION}`);
    }
    readContainer(data); // what is no file at all is refused here
    return this.job({ bytes: data, options: { resolution, tokens, faces } }, signal);
  }

  /** What a file says of itself, without weights. */
  info(bytes) {
    return info(bytes);
  }

  /** The numbers of tokens at which the scales that a file holds end, coarse to fine; none of a mesh. */
  async scales(bytes) {
    const file = readContainer(asBytes(bytes));
    if (file.mode === 'mesh') return [];
    const { config } = await this.loader.entry('models', file.modelId);
    const ends = [];
    let total = 0;
    for (const side of config.scale_sides) {
      if (total >= file.count) break;
      total += 3 * side * side;
      ends.push(Math.min(total, file.count));
    }
    return ends;
  }

  /**
   * Fetch weights before they are needed.
   * @param {'mesh'|'tokens'|'all'} mode
   */
  async preload(mode = 'all') {
    await this.job({ preload: mode });
  }

  /** End all workers; what still waits is aborted. */
  dispose() {
    for (const thread of this.threads) thread.stop();
    this.threads.clear();
    const error = new DOMException('the decoder was disposed of', 'AbortError');
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }

  start() {
    const thread = startWorker();
    this.threads.add(thread);
    return thread;
  }

  job(message, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const job = { message: { ...message, job: this.jobs++, weights: this.loader.base }, thread: null };
      const settle = (how) => (value) => {
        signal?.removeEventListener('abort', abort);
        how(value);
      };
      const abort = () => this.abort(job, signal.reason);
      Object.assign(job, { resolve: settle(resolve), reject: settle(reject) });
      signal?.addEventListener('abort', abort);
      this.waiting.push(job);
      this.next();
    });
  }

  /** A job that waits is dropped; one that runs ends with its worker, since nothing else stops it. */
  abort(job, reason) {
    this.waiting = this.waiting.filter((other) => other !== job);
    if (job.thread) {
      job.thread.stop();
      this.threads.delete(job.thread);
    }
    job.reject(reason);
    this.next();
  }

  next() {
    while (this.waiting.length) {
      let thread = [...this.threads].find((each) => each.idle);
      if (!thread && this.threads.size < this.limit) thread = this.start();
      if (!thread) return;
      this.run(this.waiting.shift(), thread);
    }
  }

  run(job, thread) {
    job.thread = thread;
    thread.ask(job.message).then(
      (mesh) => {
        job.resolve(mesh);
        this.next();
      },
      (error) => {
        if (thread.dead) this.threads.delete(thread);
        job.reject(error);
        this.next();
      },
    );
  }
}
