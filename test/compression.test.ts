/** CompressionStream and DecompressionStream in a machine, beside Node's zlib. */
import { deepEqual, match } from "node:assert/strict";
import { after, test } from "node:test";
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from "node:zlib";
import { flowMachine } from "./conformance/machine.ts";

const machine = flowMachine(
  `import { flow } from "mayfly";
export default flow(async (msg) => {
  const { format, hex, cut, noise } = msg.json();
  if (noise !== undefined) {
    const once = crypto.getRandomValues(new Uint8Array(65536));
    const all = new Uint8Array(noise);
    for (let at = 0; at < noise; at += once.length) all.set(once, at);
    return (await new Response(new Blob([all]).stream().pipeThrough(new CompressionStream("gzip"))).bytes()).length;
  }
  const bytes = Uint8Array.fromHex(hex);
  const stream = cut === undefined ? new CompressionStream(format) : new DecompressionStream(format);
  const pieces = cut === undefined ? [bytes] : [bytes.slice(0, cut), bytes.slice(cut)];
  return (await new Response(ReadableStream.from(pieces).pipeThrough(stream)).bytes()).toHex();
});`,
  { cpuMs: 300 },
);
after(async () => (await machine).close());

async function run(question: object): Promise<string> {
  const { reply, failure } = await (await machine).run(Buffer.from(JSON.stringify(question)), "application/json");
  return reply ?? String(failure);
}

/** The text of what `format` decompresses, or the message of its error. */
async function decompressed(format: string, packed: Uint8Array): Promise<string> {
  const said = await run({ format, hex: Buffer.from(packed).toString("hex"), cut: Math.floor(packed.length / 2) });
  return /^[0-9a-f]*$/.test(said) ? Buffer.from(said, "hex").toString() : said;
}

test("compressed bytes of each format are those that zlib reads, and the other way round", async () => {
  const text = "one order, two orders ".repeat(50);
  const hex = Buffer.from(text).toString("hex");
  const readers = { gzip: gunzipSync, deflate: inflateSync, "deflate-raw": inflateRawSync };
  for (const [format, read] of Object.entries(readers)) deepEqual(read(Buffer.from(await run({ format, hex }), "hex")).toString(), text);
  const writers = { gzip: gzipSync, deflate: deflateSync, "deflate-raw": deflateRawSync };
  for (const [format, write] of Object.entries(writers)) deepEqual(await decompressed(format, write(text)), text);
  deepEqual(gunzipSync(Buffer.from(await run({ format: "gzip", hex: "" }), "hex")).length, 0);
});

test("the CPU limit ends a compression that takes too long", async () => {
  match(await run({ noise: 64 * 1024 * 600 }), /MF_CPU_LIMIT/);
});

test("heads, sums and ends that are wrong are refused", async () => {
  const gzip = gzipSync("hello");
  const withHead = (flags: number, ...head: number[]): Uint8Array =>
    Buffer.concat([gzip.subarray(0, 3), Buffer.from([flags]), gzip.subarray(4, 10), Buffer.from(head), gzip.subarray(10)]);
  deepEqual(await decompressed("gzip", withHead(4 + 8 + 16, 2, 0, 1, 2, 65, 0, 66, 0)), "hello");
  const summed = withHead(2, 0, 0);
  const crc = gzipSync(summed.subarray(0, 10), { level: 0 });
  summed.set(crc.subarray(crc.length - 8, crc.length - 6), 10);
  deepEqual(await decompressed("gzip", summed), "hello");
  const zlib = deflateSync("hello");
  const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
    bytes.map((byte, index) => (index === (at + bytes.length) % bytes.length ? byte ^ 1 : byte));
  for (const [format, packed, why] of [
    ["gzip", flipped(gzip, 0), /do not begin with a head of gzip/],
    ["gzip", withHead(2, 1, 1), /sum of the head/],
    ["gzip", withHead(64), /flags that are not known/],
    ["gzip", flipped(gzip, -1), /sum at the end/],
    ["gzip", flipped(gzip, -8), /sum at the end/],
    ["gzip", gzip.subarray(0, 9), /end early/],
    ["gzip", gzip.subarray(0, -3), /end early/],
    ["gzip", Buffer.concat([gzip, Buffer.from([0])]), /behind the end/],
    ["deflate", flipped(zlib, 1), /head of zlib/],
    ["deflate", flipped(zlib, -1), /sum at the end/],
    ["deflate", Buffer.from([0x78, 0xbb, 0, 0, 0, 0]), /dictionary/],
    ["deflate", zlib.subarray(0, 1), /end early/],
    ["deflate-raw", Buffer.from([7]), /damaged/],
    ["deflate-raw", Buffer.alloc(0), /end early/],
  ] as const)
    match(await decompressed(format, packed), why, `${format}: ${Buffer.from(packed).toString("hex")}`);
});
