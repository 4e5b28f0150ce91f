import { opcodeName } from "../decode/opcodes.ts";
import { typeName } from "../decode/types.ts";
import { type Block, type Edge, type FunctionIr, isConstant, op, type Value } from "./value.ts";

/** The IR as text, one line per value, for people. */

function operationName(value: Value): string {
  if (value.op === op.parameter) return "parameter";
  if (value.op === op.result) return `result ${value.a}`;
  return opcodeName(value.op);
}

export function valueText(value: Value): string {
  if (!isConstant(value)) return `v${value.id}`;
  const wide = value.b === 0 ? String(value.a) : `0x${((BigInt(value.b >>> 0) << 32n) | BigInt(value.a >>> 0)).toString(16)}`;
  return `${typeName(value.type)}:${wide}`;
}

export function lineOf(value: Value): string {
  const immediate = value.a !== 0 && value.op !== op.result ? ` #${value.a >>> 0}` : "";
  const result = value.type === 0 ? "" : `v${value.id}:${typeName(value.type)} = `;
  return `    ${result}${operationName(value)}${immediate} ${value.args.map(valueText).join(", ")}${value.folded ? "   ; folded" : ""}`.trimEnd();
}

function edgeText(edge: Edge): string {
  return `block${edge.to?.id}(${edge.args.map(valueText).join(", ")})`;
}

export function terminatorText(block: Block): string {
  const t = block.terminator;
  switch (t.kind) {
    case "jump":
      return `jump ${edgeText(block.edges[0] as Edge)}`;
    case "branch":
      return `branch ${valueText(t.condition)} ? ${edgeText(block.edges[0] as Edge)} : ${edgeText(block.edges[1] as Edge)}`;
    case "table":
      return `table ${valueText(t.index)} [${block.edges.map(edgeText).join(", ")}]`;
    case "return":
      return `return ${t.values.map(valueText).join(", ")}`;
    case "trap":
      return "trap";
  }
}

export function dumpIr(ir: FunctionIr): string {
  const lines = [`function ${ir.item.index}`];
  for (const block of ir.blocks) {
    const params = block.params.map((param) => `v${param.id}:${typeName(param.type)}`).join(", ");
    lines.push(`  block${block.id}(${params})${block.isLoop ? " loop" : ""} depth ${block.loopDepth}:`);
    for (const value of block.body) lines.push(lineOf(value));
    lines.push(`    ${terminatorText(block)}`);
  }
  return `${lines.join("\n")}\n`;
}
