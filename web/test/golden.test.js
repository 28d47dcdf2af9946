/** Golden files: the tokens and the integers of Python. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readContainer } from '../src/format/container.js';
import { surfaceOf } from '../src/mesh/surface.js';
import { bytesOf, core, goldenRecord, integersHash, namesIn, sha256, vectors } from './lib/support.js';

test('tokens of golden files', async (t) => {
  const expected = goldenRecord('v1');
  assert.deepEqual(namesIn('v1/'), Object.keys(expected).sort());
  for (const name of namesIn('v1/')) {
    await t.test(name, async () => {
      const tokens = await core.tokens(readContainer(bytesOf(`v1/${name}`)));
      assert.equal(sha256(tokens), expected[name].tokens_sha256);
    });
  }
});

test('files with a short header', async (t) => {
  const expected = goldenRecord('v2');
  assert.deepEqual(namesIn('v2/'), Object.keys(expected).sort());
  for (const name of namesIn('v2/')) {
    await t.test(name, async () => {
      const file = readContainer(bytesOf(`v2/${name}`));
      const record = expected[name];
      assert.equal(sha256(await core.tokens(file)), record.tokens_sha256);
      assert.deepEqual(
        [file.version, file.modelId, file.packing, file.isoOffset],
        [record.version, record.model, record.packing, record.iso_offset],
      );
      assert.deepEqual(
        [file.center, file.halfExtents, file.mirrored],
        [record.center, record.half_extents, record.mirrored],
      );
    });
  }
});

test('integers and surface of golden meshes', async (t) => {
  const expected = goldenRecord('mesh');
  assert.deepEqual(namesIn('mesh/'), Object.keys(expected).sort());
  for (const name of namesIn('mesh/')) {
    await t.test(name, async () => {
      const file = readContainer(bytesOf(`mesh/${name}`));
      const record = expected[name];
      const mesh = await core.gridMesh(file);
      assert.equal(integersHash(mesh), record.integers);
      assert.deepEqual([mesh.faces.length, mesh.positions.length], [record.faces, record.vertices]);
      assert.deepEqual([mesh.bits, mesh.crease, file.mirrored], [record.bits, record.crease, record.mirrored]);
      const surface = surfaceOf(mesh, file);
      assert.equal(surface.indices.length / 3, record.surface_faces);
      assert.equal(surface.closed, record.closed);
      const bounds = [Infinity, Infinity, Infinity, -Infinity, -Infinity, -Infinity];
      surface.positions.forEach((value, i) => {
        bounds[i % 3] = Math.min(bounds[i % 3], value);
        bounds[3 + (i % 3)] = Math.max(bounds[3 + (i % 3)], value);
      });
      bounds.forEach((value, i) => assert.ok(Math.abs(value - record.bounds[i]) < 1e-9));
    });
  }
});

test('meshes of every kind: walks with borders, branches, parts that touch, creases', async (t) => {
  for (const { name, file, positions, faces, surface } of vectors('meshes.json')) {
    await t.test(name, async () => {
      const parsed = readContainer(Uint8Array.from(Buffer.from(file, 'base64')));
      const mesh = await core.gridMesh(parsed);
      assert.deepEqual(mesh.positions, positions);
      assert.deepEqual(mesh.faces, faces);
      const found = surfaceOf(mesh, parsed, surface.most_faces);
      assert.equal(found.indices.length / 3, surface.faces);
      assert.equal(found.closed, surface.closed);
      surface.vertices.forEach((place, i) => {
        place.forEach((value, axis) => assert.ok(Math.abs(found.positions[3 * i + axis] - value) < 1e-6));
      });
    });
  }
});

test('frequencies of the first digits', async () => {
  for (const { name, frequencies } of vectors('tokens.json')) {
    const file = readContainer(bytesOf(`v1/${name}`));
    const coder = await core.tokenCoder(file.modelId);
    const found = [];
    coder.decode(file.payload, file.count, (row) => found.push(row));
    assert.deepEqual(found.slice(0, frequencies.length), frequencies);
  }
});
