import { trapKinds, type TrapKind } from "../assemble/code.ts";
import type { Program } from "../link/program.ts";

/** Name of the function an instruction belongs to. */
export function functionAt(program: Program, rip: bigint): string {
  const at = Number(rip);
  const found = program.linked.symbols.find((s) => s.kind === "function" && at >= s.address && at < s.address + s.bytes);
  return found?.name ?? `0x${rip.toString(16)}`;
}

/**
 * Reads what a process of the `linux` platform leaves on descriptor 2 when it traps: "MFTRAP\0\0" │ kind u64 │ rip u64.
 * Undefined when the bytes are not such a record: they come from a machine that may be compromised.
 */
export function parseTrapRecord(bytes: Uint8Array): { readonly kind: TrapKind; readonly rip: bigint } | undefined {
  const magic = [0x4d, 0x46, 0x54, 0x52, 0x41, 0x50, 0, 0];
  if (bytes.length < 24 || magic.some((value, i) => bytes[i] !== value)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 24);
  const number = view.getBigUint64(8, true);
  const kind = number < BigInt(trapKinds.length) ? trapKinds[Number(number)] : undefined;
  return kind === undefined ? undefined : { kind, rip: view.getBigUint64(16, true) };
}
