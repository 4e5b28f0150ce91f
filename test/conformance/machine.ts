/** Runs bodies through machines of one flow. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultFlowLimits, type FlowLimits } from "#abi";
import { fromUtf8 } from "#base";
import { buildImage } from "#image";
import { embeddedMonitor } from "#monitors";
import { driveMachine, type StubAnswer } from "#replay";

const limits = { ...defaultFlowLimits, cpuMs: 60_000, timeMs: 600_000, memoryBytes: 256 * 1024 ** 2, logBytes: 1 << 20 };

export interface Ran {
  /** The reply's body as text; undefined when the flow failed. */
  readonly reply: string | undefined;
  /** `CODE: message` of the failure. */
  readonly failure: string;
}

const noAnswer: StubAnswer = { error: { code: "MF_OUTLET_UNANSWERED", message: "nothing answers here" }, delayMs: 0 };

/** A flow that is ready for messages. */
export interface FlowMachine {
  run(body: Uint8Array, contentType: string): Promise<Ran>;
  close(): Promise<void>;
}

/** Builds the module with this text. `cpuMs`: of a step. */
export async function flowMachine(code: string, { cpuMs }: Pick<FlowLimits, "cpuMs"> = limits): Promise<FlowMachine> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-conformance-"));
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const file = join(folder, "flow.js");
    await writeFile(file, code);
    const image = await monitor.load((await buildImage(file, { check: false })).image);
    return {
      run: async (body, contentType) => {
        const headers: Record<string, string> = contentType === "" ? {} : { "content-type": contentType };
        const stimulus = {
          id: "m",
          source: "conformance",
          attempt: 1,
          key: undefined,
          headers,
          body,
          state: undefined,
          seed: new Uint8Array(32),
          timeMs: Date.UTC(2026, 0, 1),
        };
        const { reply, failure } = await driveMachine(monitor, image, { limits: { ...limits, cpuMs }, stimulus, stub: () => noAnswer });
        if (failure !== undefined) return { reply: undefined, failure: `${failure.code}: ${failure.message}` };
        return { reply: fromUtf8(reply?.body ?? new Uint8Array(0)), failure: "" };
      },
      close: () => monitor.close(),
    };
  } catch (error) {
    await monitor.close();
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
