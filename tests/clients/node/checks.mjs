// What the scripts beside it share: one line per check, and a PNG by hand.
import { deepStrictEqual } from "node:assert";
import { crc32, deflateSync } from "node:zlib";

export const URL = process.argv[2].replace(/\/+$/, "");
let done = 0;

export function check(what, got, wanted) {
  deepStrictEqual(got, wanted, `${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
  done += 1;
  console.log(`ok ${what}`);
}

export function finish() {
  console.log(`ok: ${done} checks`);
}

function chunk(kind, data) {
  const body = Buffer.concat([Buffer.from(kind), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

export function png(alpha = 255, side = 1024) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.concat(Array(side).fill(Buffer.from([0, 128, 128, alpha])))]);
  const pixels = deflateSync(Buffer.concat(Array(side).fill(row)));
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([magic, chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}

export function sizeOf(data) {
  return [data.readUInt32BE(16), data.readUInt32BE(20)];
}
