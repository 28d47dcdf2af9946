/** Files of weights, fetched once: from a web server, or in Node from a folder. */

import { VatError } from './errors.js';
import { readTensors } from './weights.js';

const CACHE = 'meshcodec-weights';

/** The weights in one folder. */
export class Loader {
  /** @param {string|URL} base URL of the folder, of `http:`, `https:` or, in Node, `file:` */
  constructor(base) {
    const text = String(base);
    this.base = new URL(text.endsWith('/') ? text : `${text}/`, globalThis.location?.href).href;
    this.promises = new Map();
  }

  /** What there is: see web/export_weights.py. */
  index() {
    return this.once('index.json', async () => {
      const bytes = await fetchBytes(new URL('index.json', this.base));
      return JSON.parse(new TextDecoder().decode(bytes));
    });
  }

  /** The tensors of a file that the index names. */
  tensors({ file, sha256, bytes: size }) {
    return this.once(file, async () => {
      const data = await cachedBytes(new URL(file, this.base), sha256);
      // Networks of other integers would decode another shape, and say nothing.
      if (data.length !== size || !(await isHash(data, sha256))) {
        throw new VatError('weights', `${file} is not the file that index.json names`);
      }
      return readTensors(data);
    });
  }

  /** The entry of a model or mesh coder. Throws VatError: its id is unknown. */
  async entry(kind, id) {
    const entries = (await this.index())[kind];
    if (!Object.hasOwn(entries, id)) {
      throw new VatError('unknown-model', `made with model ${id}, which is not here (here: ${Object.keys(entries).join(', ')})`);
    }
    return entries[id];
  }

  /** A promise that is made once, and again only if it failed. */
  once(name, make) {
    if (!this.promises.has(name)) {
      const promise = make();
      this.promises.set(name, promise);
      promise.catch(() => this.promises.delete(name));
    }
    return this.promises.get(name);
  }
}

async function isHash(data, sha256) {
  const { subtle } = globalThis.crypto ?? (await import('node:crypto')).webcrypto;
  if (!subtle) return true; // browsers have it on secure pages only; the size was compared
  const digest = new Uint8Array(await subtle.digest('SHA-256', data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') === sha256;
}

/** A file by its hash from the browser's cache, where there is one, else from its URL. */
async function cachedBytes(url, sha256) {
  if (typeof caches === 'undefined' || url.protocol === 'file:') return fetchBytes(url);
  let cache;
  try {
    cache = await caches.open(CACHE);
  } catch {
    return fetchBytes(url); // private windows and sandboxed frames have none
  }
  const key = `${url.href}?sha256=${sha256}`;
  const there = await cache.match(key);
  if (there) return new Uint8Array(await there.arrayBuffer());
  const bytes = await fetchBytes(url);
  if (await isHash(bytes, sha256)) await cache.put(key, new Response(bytes)).catch(() => {}); // a full disk is no error
  return bytes;
}

/** @param {URL} url; @returns {Promise<Uint8Array>} */
export async function fetchBytes(url) {
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    try {
      return new Uint8Array(await readFile(url));
    } catch (error) {
      throw new VatError('weights', `${url.pathname} cannot be read: ${error.code}`);
    }
  }
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new VatError('weights', `${url.href} cannot be fetched: ${error.message}`);
  }
  if (!response.ok) throw new VatError('weights', `${url.href} cannot be fetched: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
