import { equal, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "#base";
import { alu, Assembler, at, indexed, shift, symbol } from "./assembler.ts";
import * as r from "./registers.ts";

/** Bytes beside text: what is emitted, and what a disassembler reads in it. */
const table: readonly (readonly [(a: Assembler) => void, string, string])[] = [
  [(a) => a.move(true, r.rax, r.r9), "498bc1", "mov rax,r9"],
  [(a) => a.move(false, r.r8, at(r.rsp, 8)), "448b442408", "mov r8d,DWORD PTR [rsp+0x8]"],
  [(a) => a.move(true, r.rbx, at(r.rbp)), "488b5d00", "mov rbx,QWORD PTR [rbp+0x0]"],
  [(a) => a.move(true, r.rbx, at(r.r13, 300)), "498b9d2c010000", "mov rbx,QWORD PTR [r13+0x12c]"],
  [(a) => a.move(false, r.rcx, indexed(r.r15, r.rdi, 0, 16)), "418b4c3f10", "mov ecx,DWORD PTR [r15+rdi*1+0x10]"],
  [(a) => a.move(false, r.rcx, indexed(r.r15, r.r12, 3)), "438b0ce7", "mov ecx,DWORD PTR [r15+r12*8]"],
  [
    (a) => a.move(true, r.rcx, { base: -1, index: r.rdx, scale: 3, displacement: 64, symbol: undefined }),
    "488b0cd540000000",
    "mov rcx,QWORD PTR [rdx*8+0x40]",
  ],
  [(a) => a.move(false, r.rax, symbol("x")), "8b0500000000", "mov eax,DWORD PTR [rip+0x0]"],
  [(a) => a.store(1, indexed(r.r15, r.rax), r.rsi), "4188 3407".replace(" ", ""), "mov BYTE PTR [r15+rax*1],sil"],
  [(a) => a.store(2, at(r.rsp), r.r10), "6644891424", "mov WORD PTR [rsp],r10w"],
  [(a) => a.store(8, at(r.r12), r.rax), "49890424", "mov QWORD PTR [r12],rax"],
  [(a) => a.storeImmediate(4, at(r.rax, 4), -1), "c74004ffffffff", "mov DWORD PTR [rax+0x4],0xffffffff"],
  [(a) => a.storeImmediate(2, at(r.rax), 258), "66c7000201", "mov WORD PTR [rax],0x102"],
  [(a) => a.storeImmediate(1, at(r.r8), 7), "41c60007", "mov BYTE PTR [r8],0x7"],
  [(a) => a.loadZero8(r.rax, r.rsi), "400fb6c6", "movzx eax,sil"],
  [(a) => a.loadSigned8(true, r.r9, at(r.rcx)), "4c0fbe09", "movsx r9,BYTE PTR [rcx]"],
  [(a) => a.loadSigned16(false, r.rax, r.rdx), "0fbfc2", "movsx eax,dx"],
  [(a) => a.loadSigned32(r.rax, r.rdx), "4863c2", "movsxd rax,edx"],
  [(a) => a.constant32(r.r11, 5), "41bb05000000", "mov r11d,0x5"],
  [(a) => a.constant32(r.r11, 0), "4531db", "xor r11d,r11d"],
  [(a) => a.constant64(r.rax, -2, -1), "48c7c0feffffff", "mov rax,0xfffffffffffffffe"],
  [(a) => a.constant64(r.r10, 1, 2), "49ba0100000002000000", "movabs r10,0x200000001"],
  [(a) => a.alu(alu.add, true, r.rax, r.r8), "4903c0", "add rax,r8"],
  [(a) => a.alu(alu.cmp, false, r.rax, at(r.rbx, 1)), "3b4301", "cmp eax,DWORD PTR [rbx+0x1]"],
  [(a) => a.aluStore(alu.sub, false, at(r.rsp, 4), r.rdx), "29542404", "sub DWORD PTR [rsp+0x4],edx"],
  [(a) => a.aluImmediate(alu.and, true, r.rdi, 127), "4883e77f", "and rdi,0x7f"],
  [(a) => a.aluImmediate(alu.xor, false, r.rdi, 128), "81f780000000", "xor edi,0x80"],
  [(a) => a.test(true, r.rax, r.rax), "4885c0", "test rax,rax"],
  [(a) => a.testImmediate(false, r.rcx, 8), "f7c108000000", "test ecx,0x8"],
  [(a) => a.lea(false, r.rax, indexed(r.rcx, r.rdx, 2, 5)), "8d449105", "lea eax,[rcx+rdx*4+0x5]"],
  [(a) => a.multiply(true, r.rax, r.rbx), "480fafc3", "imul rax,rbx"],
  [(a) => a.multiplyImmediate(false, r.rax, r.rbx, 1000), "69c3e8030000", "imul eax,ebx,0x3e8"],
  [(a) => a.negate(false, r.r9), "41f7d9", "neg r9d"],
  [(a) => a.divideSigned(true, r.rcx), "48f7f9", "idiv rcx"],
  [(a) => a.divideUnsigned(false, r.rcx), "f7f1", "div ecx"],
  [(a) => a.signExtendRax(true), "4899", "cqo"],
  [(a) => a.shiftByCl(shift.left, false, r.rdx), "d3e2", "shl edx,cl"],
  [(a) => a.shiftImmediate(shift.rightSigned, true, r.r14, 3), "49c1fe03", "sar r14,0x3"],
  [(a) => a.bitScanReverse(true, r.rax, r.rcx), "480fbdc1", "bsr rax,rcx"],
  [(a) => a.populationCount(false, r.rax, r.rcx), "f30fb8c1", "popcnt eax,ecx"],
  [(a) => a.setCondition(r.less, r.rdi), "400f9cc7", "setl dil"],
  [(a) => a.moveIf(r.notEqual, true, r.rax, r.r8), "490f45c0", "cmovne rax,r8"],
  [(a) => a.exchange(true, r.rax, r.r8), "4987c0", "xchg r8,rax"],
  [(a) => a.push(r.r15), "4157", "push r15"],
  [(a) => a.pop(r.rbx), "5b", "pop rbx"],
  [(a) => a.jumpIndirect(indexed(r.rbx, r.rax, 3)), "ff24c3", "jmp QWORD PTR [rbx+rax*8]"],
  [(a) => a.callIndirect(at(r.rax)), "ff10", "call QWORD PTR [rax]"],
  [(a) => a.syscall(), "0f05", "syscall"],
  [(a) => a.repeatMoveBytes(), "f3a4", "rep movs BYTE PTR es:[rdi],BYTE PTR ds:[rsi]"],
  [(a) => a.float(0x58, true, 1, 9), "f2410f58c9", "addsd xmm1,xmm9"],
  [(a) => a.float(0x51, false, 8, at(r.rax)), "f3440f5100", "sqrtss xmm8,DWORD PTR [rax]"],
  [(a) => a.floatBits(0x57, 15, 15), "450f57ff", "xorps xmm15,xmm15"],
  [(a) => a.floatMove(1, 2), "0f28ca", "movaps xmm1,xmm2"],
  [(a) => a.floatLoad(true, 3, indexed(r.r15, r.rax)), "f2410f101c07", "movsd xmm3,QWORD PTR [r15+rax*1]"],
  [(a) => a.floatStore(false, at(r.rsp, 8), 10), "f3440f11542408", "movss DWORD PTR [rsp+0x8],xmm10"],
  [(a) => a.floatCompare(true, 0, 1), "660f2ec1", "ucomisd xmm0,xmm1"],
  [(a) => a.floatFromBits(true, 0, r.rax), "66480f6ec0", "movq xmm0,rax"],
  [(a) => a.floatToBits(false, r.r8, 1), "66410f7ec8", "movd r8d,xmm1"],
  [(a) => a.floatFromInteger(true, true, 0, r.rcx), "f2480f2ac1", "cvtsi2sd xmm0,rcx"],
  [(a) => a.floatTruncate(false, true, r.rax, 1), "f3480f2cc1", "cvttss2si rax,xmm1"],
  [(a) => a.floatConvert(true, 0, 1), "f20f5ac1", "cvtsd2ss xmm0,xmm1"],
  [(a) => a.floatRound(true, 1, 0, 9), "66410f3a0bc109", "roundsd xmm0,xmm9,0x9"],
  [(a) => a.trapHere("integer overflow"), "0fb9c7", "ud1 eax,edi"],
];

test("every instruction form has its bytes", () => {
  for (const [emit, hex, text] of table) {
    const assembler = new Assembler();
    emit(assembler);
    equal(toHex(assembler.finish().bytes), hex, text);
  }
});

test("a disassembler reads the same text", (t) => {
  if (spawnSync("objdump", ["--version"]).status !== 0) return t.skip("objdump is not installed");
  const folder = mkdtempSync(join(tmpdir(), "mayfly-assembler-"));
  try {
    const assembler = new Assembler();
    for (const [emit] of table) emit(assembler);
    const file = join(folder, "code.bin");
    writeFileSync(file, assembler.finish().bytes);
    const run = spawnSync("objdump", ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn", file], {
      encoding: "utf8",
    });
    const lines = [...run.stdout.matchAll(/^ +[0-9a-f]+:\t(.*)$/gm)].map((m) =>
      (m[1] as string)
        .replace(/\s+#.*$/, "")
        .replace(/ +/g, " ")
        .trim(),
    );
    table.forEach(([, , text], i) => equal(lines[i], text));
    ok(lines.length === table.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a jump takes two bytes up to its reach and more beyond it", () => {
  for (const [gap, length] of [
    [127, 2],
    [128, 5],
  ] as const) {
    const a = new Assembler();
    const end = a.newLabel();
    a.jump(end);
    for (let i = 0; i < gap; i++) a.byte(0x90);
    a.bind(end);
    const { bytes } = a.finish();
    equal(bytes.length, length + gap);
    equal(bytes[1], gap);
  }
  for (const [gap, length] of [
    [120, 2],
    [127, 6],
  ] as const) {
    const a = new Assembler();
    const [start, out] = [a.newLabel(), a.newLabel()];
    a.bind(start);
    a.jumpIf(r.equal, out);
    for (let i = 0; i < gap; i++) a.byte(0x90);
    a.jumpIf(r.notEqual, start);
    a.bind(out);
    equal(a.finish().bytes.length, length + gap + length);
  }
});

test("labels reach forward and backward", () => {
  const a = new Assembler();
  const start = a.newLabel();
  const end = a.newLabel();
  a.bind(start);
  a.jumpIf(r.equal, end);
  a.jump(start);
  a.bind(end);
  a.return();
  equal(toHex(a.finish().bytes), "7402ebfcc3");
});
