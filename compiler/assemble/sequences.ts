import { alu, type Assembler, type Label, shift, symbol } from "./assembler.ts";
import * as r from "./registers.ts";

/** Operators that take more than one instruction, with the registers they need given by the backend. */

const constants = {
  sign32: "constant.00000080000000800000008000000080",
  magnitude32: "constant.ffffff7fffffff7fffffff7fffffff7f",
  sign64: "constant.00000000000000800000000000000080",
  magnitude64: "constant.ffffffffffffff7fffffffffffffff7f",
} as const;

const bitsView = new DataView(new ArrayBuffer(8));

/** The symbol of a 16-byte constant in read-only data: its bytes in hexadecimal, which the linker understands. */
export function constantSymbol(isDouble: boolean, value: number): string {
  if (isDouble) bitsView.setFloat64(0, value, true);
  else bitsView.setFloat32(0, value, true);
  return isDouble
    ? constantSymbol64(bitsView.getInt32(0, true), bitsView.getInt32(4, true))
    : constantSymbol64(bitsView.getInt32(0, true), 0);
}
export function constantSymbol64(low: number, high: number): string {
  const hex = (value: number): string => {
    const swapped = ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >> 8) & 0xff00) | (value >>> 24);
    return (swapped >>> 0).toString(16).padStart(8, "0");
  };
  return `constant.${hex(low)}${hex(high)}${"0".repeat(16)}`;
}

export function floatAbsolute(a: Assembler, isDouble: boolean, to: number): void {
  a.floatBits(0x54, to, symbol(isDouble ? constants.magnitude64 : constants.magnitude32));
}
export function floatNegate(a: Assembler, isDouble: boolean, to: number): void {
  a.floatBits(0x57, to, symbol(isDouble ? constants.sign64 : constants.sign32));
}
/** `to` gets the sign of `from`; `scratch` is changed. */
export function floatCopySign(a: Assembler, isDouble: boolean, to: number, from: number, scratch: number): void {
  a.floatMove(scratch, from);
  a.floatBits(0x54, scratch, symbol(isDouble ? constants.sign64 : constants.sign32));
  floatAbsolute(a, isDouble, to);
  a.floatBits(0x56, to, scratch);
}

/** min and max (spec 4.3.3): NaN wins, and −0 < +0, which minsd and maxsd know nothing of. */
export function floatMinimum(a: Assembler, isDouble: boolean, isMaximum: boolean, to: number, from: number): void {
  const nan = a.newLabel();
  const different = a.newLabel();
  const done = a.newLabel();
  a.floatCompare(isDouble, to, from);
  a.jumpIf(r.parity, nan);
  a.jumpIf(r.notEqual, different);
  a.floatBits(isMaximum ? 0x54 : 0x56, to, from);
  a.jump(done);
  a.bind(different);
  a.float(isMaximum ? 0x5f : 0x5d, isDouble, to, from);
  a.bind(done);
  a.later(() => {
    a.bind(nan);
    a.float(0x58, isDouble, to, from);
    a.jump(done);
  });
}

export function countLeadingZeros(a: Assembler, isWide: boolean, to: number, from: number, scratch: number): void {
  a.bitScanReverse(isWide, to, from);
  a.constantKeepingFlags32(scratch, isWide ? 127 : 63);
  a.moveIf(r.equal, isWide, to, scratch);
  a.aluImmediate(alu.xor, isWide, to, isWide ? 63 : 31);
}
export function countTrailingZeros(a: Assembler, isWide: boolean, to: number, from: number, scratch: number): void {
  a.bitScanForward(isWide, to, from);
  a.constantKeepingFlags32(scratch, isWide ? 64 : 32);
  a.moveIf(r.equal, isWide, to, scratch);
}

/**
 * Dividend in rax, divisor in rcx; the quotient comes in rax, the remainder in rdx.
 * #DE is the trap: the handler tells division by zero from overflow by rcx.
 */
export function divide(a: Assembler, isWide: boolean, isSigned: boolean, isRemainder: boolean): void {
  if (!isSigned) {
    a.constant32(r.rdx, 0);
    a.divideUnsigned(isWide, r.rcx);
    return;
  }
  if (!isRemainder) {
    a.signExtendRax(isWide);
    a.divideSigned(isWide, r.rcx);
    return;
  }
  // The least integer rem −1 is 0, but idiv would raise #DE.
  const minusOne = a.newLabel();
  const done = a.newLabel();
  a.aluImmediate(alu.cmp, isWide, r.rcx, -1);
  a.jumpIf(r.equal, minusOne);
  a.signExtendRax(isWide);
  a.divideSigned(isWide, r.rcx);
  a.bind(done);
  a.later(() => {
    a.bind(minusOne);
    a.constant32(r.rdx, 0);
    a.jump(done);
  });
}

/** u64 → float: values with the top bit set are halved with their lowest bit kept sticky, converted and doubled. */
export function convertUnsigned64(a: Assembler, isDouble: boolean, to: number, from: number, scratch: number, scratch2: number): void {
  const large = a.newLabel();
  const done = a.newLabel();
  a.floatZero(to);
  a.test(true, from, from);
  a.jumpIf(r.sign, large);
  a.floatFromInteger(isDouble, true, to, from);
  a.bind(done);
  a.later(() => {
    a.bind(large);
    a.move(true, scratch, from);
    a.move(true, scratch2, from);
    a.shiftImmediate(shift.right, true, scratch, 1);
    a.aluImmediate(alu.and, false, scratch2, 1);
    a.alu(alu.or, true, scratch, scratch2);
    a.floatFromInteger(isDouble, true, to, scratch);
    a.float(0x58, isDouble, to, to);
    a.jump(done);
  });
}

export interface Truncation {
  readonly fromDouble: boolean;
  readonly toWide: boolean;
  readonly isSigned: boolean;
  readonly saturating: boolean;
}

/** Out of range: traps, or the nearest value with NaN as 0 (spec 4.3.3). `negative`: values towards −∞ can arrive here. */
function outOfRange(a: Assembler, t: Truncation, to: number, from: number, floatScratch: number, done: Label): void {
  a.floatCompare(t.fromDouble, from, from);
  if (!t.saturating) {
    a.jumpIf(r.parity, a.coldTrap("invalid conversion to integer"));
    a.jump(a.coldTrap("integer overflow"));
    return;
  }
  const number = a.newLabel();
  const positive = a.newLabel();
  a.jumpIf(r.notParity, number);
  a.constant32(to, 0);
  a.jump(done);
  a.bind(number);
  a.floatZero(floatScratch);
  a.floatCompare(t.fromDouble, from, floatScratch);
  a.jumpIf(r.above, positive);
  if (!t.isSigned) a.constant32(to, 0);
  else if (t.toWide) a.constant64(to, 0, -0x80000000);
  else a.constant32(to, -0x80000000);
  a.jump(done);
  a.bind(positive);
  if (t.toWide) a.constant64(to, -1, t.isSigned ? 0x7fffffff : -1);
  else a.constant32(to, t.isSigned ? 0x7fffffff : -1);
  a.jump(done);
}

/** Float → integer. `scratch` is a general register, `floatScratch` an SSE register; both change, `from` does not. */
export function truncate(a: Assembler, t: Truncation, to: number, from: number, scratch: number, floatScratch: number): void {
  const done = a.newLabel();
  const bad = a.newLabel();
  a.later(() => {
    a.bind(bad);
    if (t.toWide && t.isSigned) {
      // 0x80…0 is also the right answer for −2⁶³ itself.
      a.floatCompare(t.fromDouble, from, symbol(constantSymbol(t.fromDouble, -(2 ** 63))));
      const wrong = a.newLabel();
      a.jumpIf(r.parity, wrong);
      a.jumpIf(r.equal, done);
      a.bind(wrong);
    }
    outOfRange(a, t, to, from, floatScratch, done);
  });
  if (!t.toWide) {
    // A 64-bit conversion holds every 32-bit result; anything else shows in the upper half.
    a.floatTruncate(t.fromDouble, true, to, from);
    if (t.isSigned) a.loadSigned32(scratch, to);
    else a.move(false, scratch, to);
    a.alu(alu.cmp, true, scratch, to);
    a.jumpIf(r.notEqual, bad);
    if (t.isSigned) a.move(false, to, to); // zero upper bits
    a.bind(done);
    return;
  }
  if (t.isSigned) {
    a.floatTruncate(t.fromDouble, true, to, from);
    a.move(true, scratch, to);
    a.aluImmediate(alu.sub, true, scratch, 1); // overflows for 0x80…0 alone
    a.jumpIf(0, bad);
    a.bind(done);
    return;
  }
  const large = a.newLabel();
  a.floatCompare(t.fromDouble, from, symbol(constantSymbol(t.fromDouble, 2 ** 63)));
  a.jumpIf(r.parity, bad);
  a.jumpIf(r.aboveEqual, large);
  a.floatTruncate(t.fromDouble, true, to, from);
  a.test(true, to, to);
  a.jumpIf(r.sign, bad);
  a.bind(done);
  a.later(() => {
    a.bind(large);
    a.floatMove(floatScratch, from);
    a.float(0x5c, t.fromDouble, floatScratch, symbol(constantSymbol(t.fromDouble, 2 ** 63)));
    a.floatTruncate(t.fromDouble, true, to, floatScratch);
    a.test(true, to, to);
    a.jumpIf(r.sign, bad);
    a.constant64(scratch, 0, -0x80000000);
    a.alu(alu.xor, true, to, scratch);
    a.jump(done);
  });
}
