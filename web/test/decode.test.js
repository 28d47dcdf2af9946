/** Whole files to meshes, in workers; intermediate values that Python wrote. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readContainer } from '../src/format/container.js';
import { Decoder, VatError, decode } from '../src/index.js';
import { CASES } from '../src/surface/mc_table.js';
import { Field } from '../src/tokens/field.js';
import { surfaceOfField } from '../src/tokens/decode.js';
import { bytesOf, core, goldenRecord, namesIn, vectors } from './lib/support.js';

const DECODED = ['-512-coded.vat', '-4k.vat']; // as in tests/test_golden.py
const RESOLUTION = 96;

function boundsOf(positions) {
  const bounds = [Infinity, Infinity, Infinity, -Infinity, -Infinity, -Infinity];
  positions.forEach((value, i) => {
    bounds[i % 3] = Math.min(bounds[i % 3], value);
    bounds[3 + (i % 3)] = Math.max(bounds[3 + (i % 3)], value);
  });
  return bounds;
}

function volumeOf(p, indices) {
  let volume = 0;
  for (let i = 0; i < indices.length; i += 3) {
    const [a, b, c] = [3 * indices[i], 3 * indices[i + 1], 3 * indices[i + 2]];
    volume +=
      p[a] * (p[b + 1] * p[c + 2] - p[b + 2] * p[c + 1]) +
      p[a + 1] * (p[b + 2] * p[c] - p[b] * p[c + 2]) +
      p[a + 2] * (p[b] * p[c + 1] - p[b + 1] * p[c]);
  }
  return volume / 6;
}

function isClosed(indices) {
  const count = Math.max(...new Set(indices)) + 1;
  const edges = new Map();
  for (let i = 0; i < indices.length; i++) {
    const [a, b] = [indices[i], indices[i % 3 === 2 ? i - 2 : i + 1]];
    const key = Math.min(a, b) * count + Math.max(a, b);
    edges.set(key, (edges.get(key) ?? 0) + (a < b ? 1 : -1));
  }
  return [...edges.values()].every((sum) => sum === 0);
}

function assertNear(found, expected, tolerance) {
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= tolerance, `${value} and ${expected[i]}`));
}

test('the module is the one whose hash is beside its sources', () => {
  const module = readFileSync(new URL('../src/kernels.wasm', import.meta.url));
  const hash = readFileSync(new URL('../wasm/kernels.sha256', import.meta.url), 'utf8').trim();
  assert.equal(createHash('sha256').update(module).digest('hex'), hash);
});

test('the table of marching cubes is that of Python', () => {
  const python = readFileSync(new URL('../../meshcodec/surface/mc_table.py', import.meta.url), 'utf8');
  const words = python.match(/_TRIANGLES = """\n([^"]*)"""/)[1].trim().split(/\s+/);
  assert.equal(CASES.length, 256);
  CASES.forEach((edges, i) => assert.equal(edges.map((edge) => edge.toString(16)).join('') || '-', words[i]));
});

test('latent, distances and surface at 64 cells', async (t) => {
  for (const vector of vectors('tokens.json')) {
    await t.test(vector.name, async () => {
      const file = readContainer(bytesOf(`v1/${vector.name}`));
      const { kernels, tensors, config, decoder } = await core.model(file.modelId);
      const tokens = await core.tokens(file);
      const mark = kernels.room(4);
      const latent = kernels.floats(decoder.latent(tokens), 3 * config.latent_side ** 2 * config.latent_channels);
      assertNear(vector.latent.at.map((at) => latent[at]), vector.latent.values, 1e-4);
      const field = new Field(kernels, tensors, config, decoder.planes(tokens));
      vector.field.points.forEach((point, i) => {
        const here = field.on(point.map((value) => Float32Array.of(value)));
        here.evaluate(Int32Array.of(0), (distance) => {
          const found = Math.min(Math.max(distance - file.isoOffset / 2000, -0.1), 0.1);
          assertNear([found], [vector.field.distances[i]], 1e-4);
        });
        here.close();
      });
      const { cells, vertices, faces, volume, bounds } = vector.surface;
      const surface = surfaceOfField(field, file, cells, false);
      assertNear([surface.positions.length / 3], [vertices], 0.005 * vertices);
      assertNear([surface.indices.length / 3], [faces], 0.005 * faces);
      assertNear([volumeOf(surface.positions, surface.indices)], [volume], 1e-3 * volume);
      assertNear(boundsOf(surface.positions), bounds, 2e-3);
      kernels.release(mark);
    });
  }
});

test('golden files decode to the recorded geometry', async (t) => {
  const expected = goldenRecord('v1');
  for (const name of namesIn('v1/').filter((each) => DECODED.some((ending) => each.endsWith(ending)))) {
    await t.test(name, async () => {
      const { positions, indices, mode, closed } = await decode(bytesOf(`v1/${name}`), { resolution: RESOLUTION });
      const { volume, bounds } = expected[name];
      assert.deepEqual([mode, closed, isClosed(indices)], ['tokens', true, true]);
      assertNear([volumeOf(positions, indices)], [volume], 1e-3 * volume);
      assertNear(boundsOf(positions), bounds, 2e-3);
    });
  }
});

test('a decode without a resolution has about 250 000 faces, or 160 cells', async () => {
  const { indices, cells } = await decode(bytesOf('v1/spot-12a8363d-512-coded.vat'));
  assert.equal(cells % 8, 0);
  assert.ok(cells === 160 || Math.abs(indices.length / 3 - 250000) < 50000, `${cells} cells, ${indices.length / 3} faces`);
});

test('a prefix of the tokens is a coarser mesh', async () => {
  const decoder = new Decoder();
  const data = bytesOf('v1/spot-12a8363d-4k.vat');
  assert.deepEqual(await decoder.scales(data), [3, 15, 63, 171, 471, 978, 1950, 3978]);
  const coarse = await decoder.decode(data, { resolution: 32, tokens: 171 });
  const fine = await decoder.decode(data, { resolution: 32 });
  assert.notEqual(coarse.indices.length, fine.indices.length);
  await assert.rejects(decoder.decode(data, { tokens: 4000 }), { name: 'VatError', code: 'usage' });
  decoder.dispose();
});

test('meshes decode in a worker', async () => {
  const name = 'mesh/church-028d2bcc-1024.vat';
  const mesh = await decode(bytesOf(name).buffer);
  assert.ok(mesh.positions instanceof Float32Array && mesh.indices instanceof Uint32Array);
  assert.deepEqual([mesh.mode, mesh.closed, mesh.indices.length / 3], ['mesh', false, 689]);
});

test('refusals cross the border of the worker', async () => {
  const data = bytesOf('mesh/church-028d2bcc-1024.vat');
  await assert.rejects(decode(data.slice(0, 3)), (error) => error instanceof VatError && error.code === 'truncated');
  await assert.rejects(decode(bytesOf('bad/unknown-model.vat')), { code: 'unknown-model' });
  await assert.rejects(decode('VAT'), TypeError);
  for (const resolution of [15, 257, 64.5, NaN]) {
    await assert.rejects(decode(data, { resolution }), { code: 'usage' });
  }
  const lost = new Decoder({ weights: new URL('./nowhere/', import.meta.url) });
  await assert.rejects(lost.decode(data), { code: 'weights' });
  lost.dispose();
});

test('several workers share the work', async () => {
  const decoder = new Decoder({ workers: 2 });
  const data = bytesOf('mesh/spot-028d2bcc-512.vat');
  const meshes = await Promise.all([1, 2, 3].map(() => decoder.decode(data)));
  assert.deepEqual(meshes.map(({ indices }) => indices.length / 3), [588, 588, 588]);
  assert.equal(decoder.threads.size, 2);
  assert.throws(() => decoder.setWorkerLimit(0), { code: 'usage' });
  assert.throws(() => decoder.setWeightsPath('elsewhere/'), { code: 'usage' });
  const running = decoder.decode(data);
  decoder.dispose();
  await assert.rejects(running, { name: 'AbortError' });
});

test('an abort ends what runs and what waits, and the next decode works', async () => {
  const decoder = new Decoder();
  const data = bytesOf('v1/spot-12a8363d-512-coded.vat');
  await decoder.ready;
  const [first, second] = [new AbortController(), new AbortController()];
  const running = decoder.decode(data, { signal: first.signal });
  const waiting = decoder.decode(data, { signal: second.signal });
  second.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  first.abort();
  await assert.rejects(running, { name: 'AbortError' });
  await assert.rejects(decoder.decode(data, { signal: first.signal }), { name: 'AbortError' });
  assert.equal((await decoder.decode(bytesOf('mesh/spot-028d2bcc-512.vat'))).indices.length / 3, 588);
  decoder.dispose();
});

test('networks give the same integers with and without WebAssembly', async () => {
  const { MeshCoder } = await import('../src/mesh/coder.js');
  const file = readContainer(bytesOf('mesh/spot-028d2bcc-512.vat'));
  const entry = await core.loader.entry('meshCoders', file.modelId);
  const slow = new MeshCoder(await core.loader.tensors(entry), null);
  const fast = await core.meshCoder(file.modelId);
  assert.ok(fast.networks.gate.packed && !slow.networks.gate.packed);
  assert.deepEqual(slow.decode(file), fast.decode(file));
});
