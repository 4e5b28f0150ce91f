/** The result of assembling: bytes, with the places that a linker must fill in. */

/**
 * `relative32`: target − (place + 4) + addend · `absolute32`: target + addend, sign-extended when used · `absolute64`: likewise in 8 bytes.
 */
export type RelocationKind = "relative32" | "absolute32" | "absolute64";

export interface Relocation {
  readonly at: number;
  readonly kind: RelocationKind;
  readonly symbol: string;
  readonly addend: number;
}

export interface CodeBlock {
  readonly bytes: Uint8Array;
  readonly relocations: readonly Relocation[];
}

/**
 * Why a machine stopped. The position in this list stands in the trapping instruction (`Assembler.trapHere`)
 * and is what the runtime reports.
 */
export const trapKinds = [
  "unreachable",
  "memory access out of bounds",
  "table access out of bounds",
  "undefined element",
  "uninitialized element",
  "indirect call type mismatch",
  "integer divide by zero",
  "integer overflow",
  "invalid conversion to integer",
  "stack exhausted",
  "unbound import called",
  "machine fault",
] as const;
export type TrapKind = (typeof trapKinds)[number];

export function trapNumber(kind: TrapKind): number {
  return trapKinds.indexOf(kind);
}
