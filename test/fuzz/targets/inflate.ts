/** Deflated bytes, damaged, through the kernel's natives: zlib refuses the same, or gives the same. */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { PackingMachine } from "../../../kernel/runtime/testing/packing-machine.ts";
import { faulty, type Target } from "../target.ts";

/** Longest output of an input: a few bytes may stand for megabytes. */
const mostBytes = 4 << 20;

function theirs(packed: Uint8Array): Uint8Array | string {
  try {
    return inflateRawSync(packed, { maxOutputLength: mostBytes });
  } catch (error) {
    return (error as { code?: string }).code ?? "?";
  }
}

export async function openInflate(): Promise<Target> {
  const machine = new PackingMachine();
  const text = Buffer.from("one order, two orders, three orders; ".repeat(60));
  return {
    name: "inflate",
    seeds: [0, 1, 6, 9].flatMap((level) => [deflateRawSync(text, { level }), deflateRawSync(text.subarray(0, 50), { level, strategy: 4 })]),
    words: [],
    headBytes: 3,
    run: (input) => {
      const expected = theirs(input);
      if (expected === "ERR_BUFFER_TOO_LARGE") return { signature: expected };
      const { bytes, said } = machine.inflate(input);
      if (typeof expected === "string")
        return bytes === undefined ? { signature: `${expected}: ${said}` } : faulty("taken", `zlib says ${expected}`);
      const isSame = bytes !== undefined && Buffer.compare(bytes, expected) === 0;
      const signature = `${Math.ceil(Math.log2(expected.length + 1))} bits of length`;
      return isSame ? { signature } : faulty("differs", `${said}: ${bytes?.length} bytes instead of ${expected.length}`);
    },
  };
}
