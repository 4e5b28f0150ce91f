import { opcode } from "../decode/opcodes.ts";
import type { Operator } from "../decode/types.ts";

const openers = new Set(["block", "loop", "if"].map(opcode));
const [opEnd, opLoop, opSet, opTee] = ["end", "loop", "local.set", "local.tee"].map(opcode);

/** For each loop operator, by its position, the locals assigned inside. */
export function assignedInLoops(operators: readonly Operator[]): Map<number, readonly number[]> {
  const found = new Map<number, readonly number[]>();
  const open: { readonly at: number; readonly locals: Set<number> | undefined }[] = [];
  for (let i = 0; i < operators.length; i++) {
    const { code, a } = operators[i] as Operator;
    if (openers.has(code)) open.push({ at: i, locals: code === opLoop ? new Set() : undefined });
    else if (code === opEnd) {
      const closed = open.pop();
      if (closed?.locals === undefined) continue;
      found.set(
        closed.at,
        [...closed.locals].sort((x, y) => x - y),
      );
      // The enclosing loop assigns what its inner loops do.
      for (let k = open.length - 1; k >= 0; k--) {
        const outer = open[k]?.locals;
        if (outer === undefined) continue;
        for (const local of closed.locals) outer.add(local);
        break;
      }
    } else if (code === opSet || code === opTee) {
      for (let k = open.length - 1; k >= 0; k--) {
        const locals = open[k]?.locals;
        if (locals === undefined) continue;
        locals.add(a);
        break;
      }
    }
  }
  return found;
}
