/** The package as users get it, its declarations, and the loader of three.js. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VATLoader } from 'meshcodec/three';
import { bytesOf } from './lib/support.js';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const USE = `
import { readFileSync } from 'node:fs';
import { VatDecoder, info } from 'meshcodec';
const results = [];
for (const path of process.argv.slice(2)) {
  const bytes = readFileSync(path);
  const { mode, closed, indices } = await VatDecoder.decode(bytes, { resolution: 32 });
  results.push([info(bytes).mode, mode, closed, indices.length > 0]);
}
console.log(JSON.stringify(results));
`;

test('the packed package works where nothing else is', () => {
  const folder = mkdtempSync(join(tmpdir(), 'meshcodec-'));
  try {
    const run = (cwd, ...words) => execFileSync(words[0], words.slice(1), { cwd, encoding: 'utf8' });
    const told = run(WEB, 'npm', 'pack', '--json', '--pack-destination', folder);
    const [{ filename, files }] = JSON.parse(told.slice(told.search(/^\[/m))); // some versions tell of scripts first
    assert.ok(files.every(({ path }) => /^(src|weights)\/|^(README\.md|LICENSE|package\.json)$/.test(path)));
    assert.ok(files.some(({ path }) => path === 'src/kernels.wasm'));
    writeFileSync(join(folder, 'package.json'), '{"name": "user", "version": "1.0.0", "private": true}');
    run(folder, 'npm', 'install', '--offline', '--omit=peer', '--no-audit', '--no-fund', `./${filename}`);
    writeFileSync(join(folder, 'use.mjs'), USE);
    for (const name of ['spot.vat', 'church.vat']) {
      writeFileSync(join(folder, name), bytesOf(name === 'spot.vat' ? 'v1/spot-12a8363d-512-coded.vat' : 'mesh/church-028d2bcc-1024.vat'));
    }
    const found = JSON.parse(run(folder, 'node', 'use.mjs', 'spot.vat', 'church.vat'));
    assert.deepEqual(found, [['tokens', 'tokens', true, true], ['mesh', 'mesh', false, true]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the declarations fit programs and three.js', () => {
  const compiler = join(WEB, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom'];
  execFileSync(process.execPath, [compiler, ...options, '--skipLibCheck', 'false', 'types/uses.ts'], { cwd: WEB, stdio: 'inherit' });
});

test('what is exported is declared', async () => {
  for (const [module, declared] of [['meshcodec', 'index'], ['meshcodec/three', 'VATLoader']]) {
    const words = readFileSync(join(WEB, 'src', `${declared}.d.ts`), 'utf8');
    for (const name of Object.keys(await import(module))) {
      assert.match(words, new RegExp(`export (class|const|function) ${name}\\b`), `${name} of ${module}`);
    }
  }
});

test('VATLoader makes geometries', async () => {
  const loader = new VATLoader().setDecodeOptions({ resolution: 32 });
  const geometry = await loader.parse(bytesOf('mesh/church-028d2bcc-1024.vat').buffer);
  assert.equal(geometry.index.count, 3 * 689);
  assert.equal(geometry.getAttribute('normal').count, geometry.getAttribute('position').count);
  assert.deepEqual(geometry.userData.vat, { mode: 'mesh', closed: false });
  geometry.computeBoundingBox();
  assert.ok(Math.abs(geometry.boundingBox.max.y - 1) < 1e-6);
  const called = [];
  await loader.parse(bytesOf('v1/spot-12a8363d-512.vat'), (found) => called.push(found.userData.vat.mode), assert.fail);
  await loader.parse(bytesOf('bad/text.vat'), assert.fail, (error) => called.push(error.code));
  assert.deepEqual(called, ['tokens', 'not-vat']);
  await assert.rejects(loader.parse(bytesOf('bad/text.vat')), { code: 'not-vat' });
  loader.dispose();
});

test('VATLoader loads from an address, and says what goes wrong', async () => {
  // three's FileLoader tells progress with what browsers have and Node has not.
  globalThis.ProgressEvent ??= class extends Event {};
  const loader = new VATLoader();
  const data = Buffer.from(bytesOf('mesh/spot-028d2bcc-512.vat')).toString('base64');
  const geometry = await loader.loadAsync(`data:application/octet-stream;base64,${data}`);
  assert.equal(geometry.index.count, 3 * 588);
  await assert.rejects(loader.loadAsync('data:application/octet-stream;base64,VkFU'), { code: 'truncated' });
  loader.dispose();
});
