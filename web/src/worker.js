/** A worker that decodes, in a browser or in Node. */

import { Core } from './core.js';

const port = globalThis.WorkerGlobalScope ? globalThis : (await import('node:worker_threads')).parentPort;
let core = null;

/** A decoded mesh with numbers of 32 bits, and the buffers that are handed over. */
function handedOver({ positions, indices, mode, closed, cells }) {
  const mesh = { positions: Float32Array.from(positions), indices, mode, closed, cells };
  return [mesh, [mesh.positions.buffer, mesh.indices.buffer]];
}

async function answer({ job, weights, bytes, options, preload }) {
  try {
    core ??= new Core(weights);
    if (preload !== undefined) {
      await core.preload(preload);
      port.postMessage({ job, mesh: null });
      return;
    }
    const [mesh, buffers] = handedOver(await core.decode(bytes, options));
    port.postMessage({ job, mesh }, buffers);
  } catch (error) {
    port.postMessage({ job, error: { name: error.name, code: error.code ?? 'internal', message: error.message } });
  }
}

if (globalThis.WorkerGlobalScope) port.onmessage = ({ data }) => answer(data);
else port.on('message', answer);
port.postMessage({ started: true });
