/** General registers by their number in the encoding. rsp and r15 are never allocated: stack and base of the linear memory. */
export const rax = 0;
export const rcx = 1;
export const rdx = 2;
export const rbx = 3;
export const rsp = 4;
export const rbp = 5;
export const rsi = 6;
export const rdi = 7;
export const r8 = 8;
export const r9 = 9;
export const r10 = 10;
export const r11 = 11;
export const r12 = 12;
export const r13 = 13;
export const r14 = 14;
export const r15 = 15;

const wide = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
const narrow = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

export function registerName(register: number, isWide = true): string {
  if (register < 8) return (isWide ? wide : narrow)[register] as string;
  return `r${register}${isWide ? "" : "d"}`;
}

/** Condition codes as they stand in the low four bits of jcc, setcc and cmovcc. Inverting flips the lowest bit. */
export const below = 2;
export const aboveEqual = 3;
export const equal = 4;
export const notEqual = 5;
export const belowEqual = 6;
export const above = 7;
export const sign = 8;
export const notSign = 9;
export const parity = 10;
export const notParity = 11;
export const less = 12;
export const greaterEqual = 13;
export const lessEqual = 14;
export const greater = 15;

export function invert(condition: number): number {
  return condition ^ 1;
}

/** The condition after the operands of the comparison are exchanged. */
export function exchange(condition: number): number {
  const swapped: Record<number, number> = {
    [below]: above,
    [above]: below,
    [aboveEqual]: belowEqual,
    [belowEqual]: aboveEqual,
    [less]: greater,
    [greater]: less,
    [lessEqual]: greaterEqual,
    [greaterEqual]: lessEqual,
  };
  return swapped[condition] ?? condition;
}
