/** Workers of browsers and of Node, alike. */

import { VatError } from './errors.js';

/** Starts a worker that answers one message at a time. */
export function startWorker() {
  return new Thread();
}

class Thread {
  constructor() {
    this.idle = true;
    this.dead = false;
    this.pending = null; // { resolve, reject } of the message that it works on
    this.started = new Promise((resolve, reject) => {
      this.onStarted = resolve;
      this.onFailed = reject;
    });
    this.started.catch(() => {}); // whoever asks is told; whoever does not is told by `ask`
    this.worker = this.open();
    this.worker.catch((error) => this.fail(error));
  }

  async open() {
    const url = new URL('./worker.js', import.meta.url);
    if (typeof Worker !== 'undefined') {
      const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
      worker.onmessage = ({ data }) => this.receive(data);
      worker.onerror = (event) => this.fail(new VatError('internal', event.message ?? 'the worker did not start'));
      return worker;
    }
    const { Worker: NodeWorker } = await import('node:worker_threads');
    const worker = new NodeWorker(url);
    worker.on('message', (data) => this.receive(data));
    worker.on('error', (error) => this.fail(new VatError('internal', error.message)));
    this.keep = (kept) => (kept ? worker.ref() : worker.unref()); // one that waits keeps no process alive
    return worker;
  }

  /** The mesh of a message. */
  ask(message) {
    this.idle = false;
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
      if (this.dead) this.fail(new VatError('internal', 'the worker has ended'));
      this.worker.then((worker) => {
        this.keep?.(true);
        worker.postMessage(message);
      }, reject);
    });
  }

  receive({ started, mesh, error }) {
    if (started) {
      if (this.idle) this.keep?.(false);
      this.onStarted();
      return;
    }
    this.keep?.(false);
    const { resolve, reject } = this.pending;
    this.pending = null;
    this.idle = true;
    if (error) reject(error.code === 'internal' ? Object.assign(new Error(error.message), error) : new VatError(error.code, error.message));
    else resolve(mesh);
  }

  fail(error) {
    this.dead = true;
    this.onFailed(error);
    this.pending?.reject(error);
    this.pending = null;
  }

  stop() {
    this.dead = true;
    this.worker.then((worker) => worker.terminate());
    this.pending?.reject(new DOMException('the worker was ended', 'AbortError'));
    this.pending = null;
  }
}
