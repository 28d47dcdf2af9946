/** Containers, literal bytes, refusals. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from '../src/format/crc32.js';
import { readContainer } from '../src/format/container.js';
import { SHORT_VERSION, shortChecksum } from '../src/format/short_header.js';
import { RangeDecoder } from '../src/format/range_decoder.js';
import { info } from '../src/info.js';
import { bytesOf, core, goldenRecord, namesIn, random, vectors } from './lib/support.js';

const CODES = ['truncated', 'not-vat', 'newer-version', 'unknown-model', 'corrupt'];

async function refusal(data) {
  try {
    const file = readContainer(data);
    if (file.mode === 'mesh') await core.gridMesh(file);
    else await core.tokens(file);
  } catch (error) {
    return error;
  }
  return null;
}

/** The same bytes with a right checksum. */
function sealed(data) {
  const result = data.slice();
  if (data[3] === SHORT_VERSION) {
    new DataView(result.buffer).setUint16(8, shortChecksum(result), true);
    return result;
  }
  result.fill(0, 11, 15);
  new DataView(result.buffer).setUint32(11, crc32(result), true);
  return result;
}

test('the checksum is that of zlib', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
});

test('a file by its literal bytes', () => {
  // VAT, version 1, placement with a box, id 01020304, 3 tokens, centre (1, -2, 0.5), box 200 100 50 * 2^(128 - 133)
  const data = sealed(
    Uint8Array.from([
      0x56, 0x41, 0x54, 1, 0x50 | 0x04 | 0x20, 1, 2, 3, 4, 3, 0, 0, 0, 0, 0,
      0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f, 200, 100, 50, 128, 0xfe, 7, 8, 9,
    ]),
  );
  const file = readContainer(data);
  assert.deepEqual(
    [file.modelId, file.count, file.center, file.halfExtents, file.mirrored, file.isoOffset, [...file.payload]],
    ['01020304', 3, [1, -2, 0.5], [6.25, 3.125, 1.5625], [true, false, false], -2, [7, 8, 9]],
  );
  assert.equal(info(data).mode, 'tokens');
  assert.equal(info(data.buffer).tokens, 3);
});

test('a file with a short header by its literal bytes', () => {
  // VAT, version 2, an iso offset, model 0, 2 tokens, steps 1024 -2048 512 of 2^(128 - 138), box 128 16 55 * 2^(128 - 133)
  const data = Uint8Array.from(Buffer.from('5641540220000200697b000400f8000280103780070102', 'hex'));
  const file = readContainer(data);
  assert.deepEqual(
    [file.version, file.modelId, file.count, file.center, file.halfExtents, file.isoOffset, [...file.payload]],
    [2, '12a8363d', 2, [1, -2, 0.5], [4, 0.5, 1.71875], 7, [1, 2]],
  );
  assert.deepEqual(sealed(data), data);
  for (let bit = 0; bit < 8 * data.length; bit++) {
    const damaged = data.slice();
    damaged[bit >> 3] ^= 1 << (bit & 7);
    assert.throws(() => readContainer(damaged), (error) => CODES.includes(error.code));
  }
});

test('a range coder decodes what Python encoded', () => {
  for (const { message, calls } of vectors('range_coder.json')) {
    const coder = new RangeDecoder(Uint8Array.from(Buffer.from(message, 'hex')));
    for (const call of calls) {
      if (call.starts) assert.equal(coder.decode(call.starts), call.symbol);
      else assert.equal(coder.decodeUniform(call.count), call.value);
    }
    assert.ok(coder.isWhole());
    const longer = new RangeDecoder(Uint8Array.from([...Buffer.from(message, 'hex'), 0]));
    for (const call of calls) call.starts ? longer.decode(call.starts) : longer.decodeUniform(call.count);
    assert.ok(!longer.isWhole());
  }
});

test('every bad file is refused with its kind', async (t) => {
  const expected = vectors('refusals.json');
  assert.deepEqual(namesIn('bad/').sort(), Object.keys(goldenRecord('bad')).sort());
  for (const name of namesIn('bad/')) {
    await t.test(name, async () => {
      const error = await refusal(bytesOf(`bad/${name}`));
      assert.equal(error?.code, expected[name], error?.message);
      assert.ok(!error.message.includes('\n'));
    });
  }
});

test('a file that ends anywhere is refused', async () => {
  for (const name of ['v1/spot-12a8363d-512-coded.vat', 'v2/church-12a8363d-512.vat', 'mesh/spot-028d2bcc-512.vat', 'mesh/burger-028d2bcc-256.vat']) {
    const data = bytesOf(name);
    for (let length = 0; length < data.length; length++) {
      const error = await refusal(data.slice(0, length));
      assert.ok(CODES.includes(error?.code), `${name} cut to ${length} bytes: ${error}`);
      if (length < 15) assert.equal(error.code, 'truncated');
    }
  }
});

test('a flipped bit is refused, and behind a right checksum refused or decoded in the end', async () => {
  const next = random(1);
  let decoded = 0;
  for (const name of ['v1/spot-12a8363d-512-coded.vat', 'v2/church-12a8363d-512.vat', 'mesh/spot-028d2bcc-512.vat', 'mesh/burger-028d2bcc-256.vat']) {
    const data = bytesOf(name);
    for (let trial = 0; trial < 30; trial++) {
      const damaged = data.slice();
      damaged[Math.floor(next() * data.length)] ^= 1 << Math.floor(next() * 8);
      assert.ok(CODES.includes((await refusal(damaged))?.code));
      const error = await refusal(sealed(damaged));
      if (error === null) decoded++;
      else assert.ok(CODES.includes(error.code), `${error.stack}`);
    }
  }
  assert.ok(decoded > 0); // flips in a placement
});

test('an announcement of faces that the bytes do not hold allocates nothing', async () => {
  const data = bytesOf('mesh/spot-028d2bcc-512.vat').slice(0, 34);
  new DataView(data.buffer).setUint16(9, 65535, true);
  assert.match((await refusal(sealed(data))).message, /announces 65535 faces/);
});
