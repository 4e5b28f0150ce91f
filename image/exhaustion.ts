/**
 * Rewrites the engine, for every monitor alike, so that an allocation for which there was no memory is noted in the machine's memory: at
 * the end of the step the natives look there (kernel/native/door.ts), and whatever was made of the failure on the way, by the engine, the
 * kernel, a package or the flow, the step ends as "no memory" and nothing of it counts.
 */
import { assert, concatBytes } from "#base";
import { type CodeEdit, decodeModule, encodeModule, instruction, opcodeName } from "#compiler";
import { layout } from "#kernel";

const i32 = 0x7f;

const note = concatBytes([instruction("i32.const", layout.exhaustedAt), instruction("i32.const", 1), instruction("i32.store", 2, 0)]);

/** Code after memory.grow. `result`: a local. */
function afterGrow(result: number): Uint8Array {
  return concatBytes([
    instruction("local.tee", result),
    instruction("i32.const", -1),
    instruction("i32.eq"),
    instruction("if", 0x40),
    note,
    instruction("end"),
    instruction("local.get", result),
  ]);
}

/** memory.grow that is refused, and JS_ThrowOutOfMemory: for an allocation that is too large to try. */
export function noteExhaustion(engine: Uint8Array): Uint8Array {
  const module = decodeModule(engine);
  const thrower = module.exports.find(({ name }) => name === "JS_ThrowOutOfMemory")?.index;
  assert(thrower !== undefined, "the engine exports JS_ThrowOutOfMemory");
  return encodeModule(module, {
    functions: ({ index, type, body }) => {
      const edits: CodeEdit[] = [];
      if (index === thrower) edits.push({ at: body.codeStart, end: body.codeStart, code: note });
      for (const { code, end } of body.operators)
        if (opcodeName(code) === "memory.grow") edits.push({ at: end, end, code: afterGrow(type.params.length + body.locals.length) });
      return edits.length === 0 ? undefined : { edits, addLocals: [i32] };
    },
  });
}
