// Runs otolith.wasm over one request and writes each file it makes into a folder.
//   node convert.mjs MODULE SIGNAL protobuf|json REQUEST FOLDER
// Prints {"status": n, "error": "…", "rejected": n, "files": [{"table", "rows", "path"}]}.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WASI } from 'node:wasi';

const [module, signal, format, request, folder] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1' });
const { instance } = await WebAssembly.instantiate(readFileSync(module), wasi.getImportObject());
wasi.initialize(instance);
const core = instance.exports;

const bytes = (address, size) => new Uint8Array(core.memory.buffer, address >>> 0, size >>> 0);
const text = (address) => {
  const rest = new Uint8Array(core.memory.buffer, address >>> 0);
  return Buffer.from(rest.subarray(0, rest.indexOf(0))).toString();
};

const message = readFileSync(request);
const address = core.otolith_alloc(message.length);
bytes(address, message.length).set(message);
const signals = { logs: 0, traces: 1, metrics: 2 };
const status = core.otolith_convert(signals[signal], format === 'json' ? 1 : 0, address, message.length,
  BigInt(Date.now()) * 1000000n, 0x5eedn);
core.otolith_free(address, message.length);

const files = [];
for (let i = 0; i < status; i++) {
  const table = text(core.otolith_file_table(i));
  const path = join(folder, `${table}.parquet`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes(core.otolith_file_data(i), core.otolith_file_size(i)));
  files.push({ table, rows: core.otolith_file_rows(i), path });
}
const error = status < 0 ? text(core.otolith_error()) : '';
console.log(JSON.stringify({ status, error, rejected: core.otolith_rejected(), files }));
