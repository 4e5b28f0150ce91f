import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { CodedError, isCoded } from "#base";
import { compileModule } from "../compile.ts";
import { decodeModule } from "../decode/module.ts";
import { writeExecutable } from "../link/executable.ts";
import { linkProgram } from "../link/program.ts";
import { damagedModule } from "./damage.ts";

const virtualMachine = (globalThis as unknown as { WebAssembly: { validate(bytes: Uint8Array): boolean } }).WebAssembly;

/** The code it is refused with; "" when it is accepted, and then both backends must be able to compile it, and the linker to link it. */
function verdict(bytes: Uint8Array): string {
  let module: ReturnType<typeof decodeModule>;
  try {
    module = decodeModule(bytes);
  } catch (error) {
    if (isCoded(error)) return error.code;
    throw error;
  }
  for (const backend of ["baseline", "optimising"] as const) {
    const code = compileModule(module, { backend });
    try {
      writeExecutable(linkProgram([{ name: "m", code }], { platform: "linux", missing: "trap" }));
    } catch (error) {
      // A segment outside its memory: at run time this would be a trap.
      if (!(error instanceof CodedError) || error.code !== "MF_LINK_SEGMENT") throw error;
    }
  }
  return "";
}

test("damaged modules are refused when V8 refuses them and not otherwise, and what is accepted can be compiled and linked", (t) => {
  const seed = Number(process.env["MAYFLY_SEED"] ?? Date.now() % 2 ** 30);
  t.diagnostic(`seed ${seed}; repeat with MAYFLY_SEED=${seed}`);
  const wrong: string[] = [];
  let accepted = 0;
  let refused = 0;
  for (let i = 0; i < 600; i++) {
    const bytes = damagedModule(seed + i);
    const code = verdict(bytes);
    if (code === "") accepted++;
    else refused++;
    // V8 knows features that are refused here by name.
    if (code !== "MF_WASM_UNSUPPORTED" && virtualMachine.validate(bytes) !== (code === ""))
      wrong.push(`seed ${seed + i}: ${code || "accepted"}`);
  }
  deepEqual(wrong, []);
  ok(accepted > 50 && refused > 50, `${accepted} accepted, ${refused} refused`);
});
