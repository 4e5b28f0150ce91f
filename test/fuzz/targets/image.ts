/** Image files: read, and where their hash is right, run. What an image holds harms its own machine at most. */
import { createHash } from "node:crypto";
import { defaultFlowLimits } from "#abi";
import { isCoded, toUtf8 } from "#base";
import { type Image, readImage } from "#image";
import { embeddedMonitor, type Monitor } from "#monitors";
import { deliver, imageOf } from "../flow-image.ts";
import { faulty, type Target, type Verdict } from "../target.ts";

const hashBytes = 32;
/** Images one monitor is given: it keeps the pages of each. */
const imagesPerMonitor = 50;
const limits = { ...defaultFlowLimits, cpuMs: 50, memoryBytes: 16 * 1024 ** 2 };

const message = deliver(toUtf8("[1]"), "application/json");

/** The input with the hash that belongs to it: what an attacker would send. */
function hashed(input: Uint8Array): Uint8Array {
  if (input.length < hashBytes) return input;
  const out = new Uint8Array(input);
  out.set(createHash("sha256").update(out.subarray(0, -hashBytes)).digest(), out.length - hashBytes);
  return out;
}

export async function openImage(): Promise<Target> {
  const innocent = await imageOf("export default flow((msg) => msg.json());");
  let monitor: Monitor | undefined;
  let loads = 0;

  async function runs(image: Image): Promise<Verdict> {
    if (monitor === undefined || loads++ >= imagesPerMonitor) {
      await monitor?.close();
      monitor = embeddedMonitor({ workers: 1 });
      loads = 0;
    }
    const loaded = await monitor.load(image);
    const outcome = await monitor.start(loaded, message, limits).first;
    monitor.unload(loaded);
    const after = await monitor.start(await monitor.load(innocent), message).first;
    const signature = `ran: ${outcome.failure?.code ?? outcome.status}`;
    return after.status === "done"
      ? { signature }
      : faulty(signature, `the next message of another flow: ${JSON.stringify(after.failure)}`);
  }

  return {
    name: "image",
    seeds: [innocent.bytes],
    headBytes: 2_048,
    words: ["memoryPages", "stackPointer", "1e9", "-1", "null", "{}"],
    run: async (input) => {
      let image: Image;
      try {
        image = readImage(input.length % 2 === 0 ? input : hashed(input));
        if (image.sha256 !== innocent.sha256) image = readImage(hashed(input));
      } catch (error) {
        if (!isCoded(error)) throw error;
        return { signature: `${error.code}: ${error.message.replace(/\d+/g, "n").slice(0, 80)}` };
      }
      try {
        return await runs(image);
      } catch (error) {
        if (!isCoded(error)) throw error;
        return { signature: `not loaded: ${error.code}` };
      }
    },
    close: async () => monitor?.close(),
  };
}
