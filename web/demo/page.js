/** The page: a gallery, and one shape large. */

import { VatDecoder, info, supported } from '../src/index.js';
import { EXPORTS, fromBase64url, readOriginal, save, toBase64url } from './files.js';
import { Camera, Renderer, boxOf, steer } from './view.js';

const SINGLE_CELLS = 128; // of the grid of the large view
const CARD_CELLS = 72; // of the gallery's pictures
const ORIGINAL = [0.75, 0.72, 0.66];
const find = (selector) => document.querySelector(selector);
const camera = new Camera();
const renderer = new Renderer();
const shown = { file: null, mesh: null, shape: null, original: null, wanted: null, busy: false };

function say(message) {
  find('#message').textContent = message ?? '';
  find('#message').hidden = !message;
}

/** Runs something that may fail, and says so. */
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.code ? `${error.message} (${error.code})` : error.message);
    return undefined;
  }
}

// ---- the large view

function draw() {
  if (shown.shape) renderer.draw(shown.shape, camera, find('#decoded canvas'));
  if (shown.original) renderer.draw(shown.original, camera, find('#original canvas'), ORIGINAL);
}

function facts(entries) {
  const rows = entries.map(([term, value]) => {
    const row = document.createElement('div');
    row.append(
      Object.assign(document.createElement('dt'), { textContent: term }),
      Object.assign(document.createElement('dd'), { textContent: value }),
    );
    return row;
  });
  find('#facts').replaceChildren(...rows);
}

/**
 * Show a file large.
 * @param {{name: string, bytes: Uint8Array, original?: object, caption?: string, sizes?: object[]}} file
 */
async function open(file) {
  say();
  const about = await attempt(() => info(file.bytes));
  if (!about) return;
  Object.assign(shown, { file, wanted: null });
  find('#single').hidden = false;
  find('#gallery').hidden = true;
  find('#name').textContent = file.name;
  if (shown.original) renderer.free(shown.original);
  shown.original = file.original ? renderer.shape(file.original) : null;
  find('#original').hidden = !file.original;
  find('#original figcaption').textContent = file.caption ?? '';
  find('#decoded figcaption').textContent = `${file.bytes.length} bytes`;
  showSizes(file);
  const ends = (await attempt(() => VatDecoder.scales(file.bytes))) ?? [];
  find('#scales').hidden = ends.length < 2;
  Object.assign(find('#scales input'), { max: Math.max(ends.length, 1), value: ends.length });
  shown.ends = ends;
  find('#single').scrollIntoView({ block: 'nearest' });
  await show(null);
}

function showSizes({ sizes = [], bytes }) {
  find('#sizes').replaceChildren(
    ...sizes.map((size) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: size.label });
      button.setAttribute('aria-pressed', String(size.bytes === bytes));
      button.addEventListener('click', () => open({ ...shown.file, bytes: size.bytes }));
      return button;
    }),
  );
}

/** Decode the shown file with so many tokens, all for null; of what is asked for meanwhile the last one counts. */
async function show(tokens) {
  shown.wanted = { tokens };
  if (shown.busy) return;
  shown.busy = true;
  find('#decoded').classList.add('busy');
  while (shown.wanted) {
    const { file, wanted } = shown;
    shown.wanted = null;
    const start = performance.now();
    const mesh = await attempt(() => VatDecoder.decode(file.bytes, { resolution: SINGLE_CELLS, tokens: wanted.tokens }));
    if (mesh && file === shown.file) showMesh(mesh, file, performance.now() - start, wanted.tokens);
    else if (!mesh && file === shown.file && !shown.wanted) forget();
  }
  shown.busy = false;
  find('#decoded').classList.remove('busy');
}

function forget() {
  if (shown.shape) renderer.free(shown.shape);
  Object.assign(shown, { shape: null, mesh: null });
  find('#decoded canvas').getContext('2d').reset?.();
  facts([]);
}

function showMesh(mesh, file, milliseconds, tokens) {
  const about = info(file.bytes);
  if (shown.shape) renderer.free(shown.shape);
  shown.mesh = mesh;
  shown.shape = renderer.shape(mesh, file.original ? boxOf(file.original.positions) : undefined);
  const { ends } = shown;
  const scale = tokens === null ? ends.length : ends.indexOf(tokens) + 1;
  find('#scales output').textContent = `${scale} of ${ends.length}, ${tokens ?? about.tokens} tokens`;
  facts([
    ['bytes', String(file.bytes.length)],
    ['mode', mesh.mode],
    ['faces', (mesh.indices.length / 3).toLocaleString('en')],
    ['closed', mesh.closed ? 'yes' : 'no'],
    ['decoded in', `${Math.round(milliseconds)} ms`],
    ['model', about.modelId],
  ]);
  draw();
  document.body.dataset.shown = file.name; // what waits for the picture, waits for this
}

function close() {
  find('#single').hidden = true;
  find('#gallery').hidden = false;
  delete document.body.dataset.shown;
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  if (cards.length) drawCards();
  else attempt(fillGallery);
}

// ---- files that are opened

async function openAll(files) {
  const opened = await Promise.all(
    Array.from(files, async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })),
  );
  const buttons = opened.map((file) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: file.name });
    button.addEventListener('click', () => open(file));
    return button;
  });
  find('#opened').replaceChildren(...(opened.length > 1 ? buttons : []));
  if (opened.length) await open(opened[0]);
}

async function openLink() {
  const text = new URLSearchParams(location.hash.slice(1)).get('data');
  if (text === null) return;
  const bytes = await attempt(() => fromBase64url(text));
  if (bytes) await open({ name: 'shape.vat', bytes });
}

async function copyLink() {
  const link = `${location.href.split('#')[0]}#data=${toBase64url(shown.file.bytes)}`;
  history.replaceState(null, '', link);
  const button = find('#copy');
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'The link is in the address bar';
  }
  setTimeout(() => (button.textContent = 'Copy link'), 2500);
}

// ---- the gallery

const cards = [];

function drawCards() {
  for (const { original, shape, canvases } of cards) {
    if (original) renderer.draw(original, new Camera(), canvases[0], ORIGINAL);
    if (shape) renderer.draw(shape, new Camera(), canvases[1]);
  }
}

function card({ name, credit, faces }) {
  const canvases = [document.createElement('canvas'), document.createElement('canvas')];
  const pair = Object.assign(document.createElement('span'), { className: 'pair' });
  pair.append(...canvases);
  const words = document.createElement('span');
  words.textContent = name.replaceAll('_', ' ');
  const small = Object.assign(document.createElement('small'), { textContent: `original of ${faces} faces` });
  const element = Object.assign(document.createElement('button'), { type: 'button', className: 'card', title: credit });
  element.append(pair, words, small);
  find('#gallery').append(element);
  const entry = { name, credit, faces, canvases, small, element };
  cards.push(entry);
  return entry;
}

async function fillCard(entry, ends) {
  const url = (file) => new URL(`gallery/${file}`, import.meta.url);
  const original = await readOriginal(url(`${entry.name}.bin`));
  entry.original = renderer.shape(original);
  const files = await Promise.all(
    ends.map(async (end) => {
      const response = await fetch(url(`${entry.name}-${end}.vat`));
      if (!response.ok) throw new Error(`the gallery lacks ${entry.name}-${end}.vat`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return { label: `${bytes.length} bytes, ${info(bytes).mode}`, bytes };
    }),
  );
  const caption = `original, ${entry.faces} faces; ${entry.credit}`;
  entry.element.addEventListener('click', () =>
    open({ name: entry.name.replaceAll('_', ' '), bytes: files[0].bytes, original, caption, sizes: files }),
  );
  drawCards();
  const mesh = await VatDecoder.decode(files[0].bytes, { resolution: CARD_CELLS });
  entry.shape = renderer.shape(mesh, boxOf(original.positions));
  entry.small.textContent = `original of ${entry.faces} faces | ${files[0].bytes.length} bytes, ${mesh.mode}`;
  drawCards();
}

async function fillGallery() {
  const response = await fetch(new URL('gallery/index.json', import.meta.url));
  if (!response.ok) throw new Error('the gallery is not here');
  const entries = await response.json();
  const made = entries.map((entry) => card(entry));
  for (const [i, entry] of made.entries()) await attempt(() => fillCard(entry, entries[i].files));
  document.body.dataset.gallery = 'filled';
}

// ---- all together

function listen() {
  find('#theme').addEventListener('click', () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });
  find('#close').addEventListener('click', close);
  find('#files').addEventListener('change', ({ target }) => openAll(target.files));
  find('#copy').addEventListener('click', copyLink);
  find('#save').addEventListener('click', () => save(shown.file.bytes, `${baseName()}.vat`, 'application/octet-stream'));
  find('#scales input').addEventListener('input', ({ target }) => show(shown.ends[target.value - 1]));
  for (const button of document.querySelectorAll('[data-format]')) {
    button.addEventListener('click', () => {
      const [make, type] = EXPORTS[button.dataset.format];
      if (shown.mesh) save(make(shown.mesh), `${baseName()}.${button.dataset.format}`, type);
    });
  }
  for (const kind of ['dragover', 'dragleave', 'drop']) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle('dropping', kind === 'dragover');
      if (kind === 'drop') openAll(event.dataTransfer.files);
    });
  }
  document.addEventListener('keydown', (event) => event.key === 'Escape' && !find('#single').hidden && close());
  window.addEventListener('hashchange', openLink);
  new ResizeObserver(() => (find('#single').hidden ? drawCards() : draw())).observe(document.body);
  for (const canvas of document.querySelectorAll('.views canvas')) steer(canvas, camera, draw);
}

function baseName() {
  return shown.file.name.replace(/\.vat$/i, '').replaceAll(' ', '_');
}

listen();
if (!supported) say('This browser has no WebAssembly with SIMD: files in tokens mode cannot be decoded here.');
await openLink();
if (find('#single').hidden) await attempt(fillGallery); // whoever follows a link to a shape waits for no others
