import { alu, Assembler, at } from "../assemble/assembler.ts";
import type { CodeBlock } from "../assemble/code.ts";
import { outgoing, signatureLayout } from "../assemble/convention.ts";
import * as r from "../assemble/registers.ts";
import { f32, type FunctionType, i32, type ValueType } from "../decode/types.ts";

/** Small pieces of code between modules, and between compiled code and what calls it. */

function loadBase(a: Assembler, memory: string | undefined): void {
  if (memory !== undefined) a.addressOf64(r.r15, memory);
}

/**
 * An entry for callers with another memory: keeps their base, sets the callee's, and passes stack arguments on.
 *
 *     rsp → [ parameters' and results' slots, copied ][ caller's r15 ][ return address ][ caller's slots ]
 */
export function swapStub(type: FunctionType, target: string, memory: string | undefined): CodeBlock {
  const a = new Assembler();
  const { slots, params, results } = signatureLayout(type);
  a.push(r.r15);
  if (slots > 0) a.aluImmediate(alu.sub, true, r.rsp, 8 * slots);
  for (const param of params) {
    if (param.kind !== "stack") continue;
    a.move(true, r.r15, at(r.rsp, 8 * (slots + 2 + param.index)));
    a.store(8, outgoing(param.index), r.r15);
  }
  loadBase(a, memory);
  a.call(target);
  for (const result of results) {
    if (result.kind !== "stack") continue;
    a.move(true, r.r15, outgoing(result.index));
    a.store(8, at(r.rsp, 8 * (slots + 2 + result.index)), r.r15);
  }
  if (slots > 0) a.aluImmediate(alu.add, true, r.rsp, 8 * slots);
  a.pop(r.r15);
  a.return();
  return a.finish();
}

function narrow(type: ValueType): boolean {
  return type === i32 || type === f32;
}

/** Called from outside compiled code: rdi points to 8 bytes per argument, rsi + 16 to where results go. */
export function entryThunk(type: FunctionType, target: string, memory: string | undefined): CodeBlock {
  const a = new Assembler();
  const { slots, params, results } = signatureLayout(type);
  a.push(r.rsi);
  if (slots > 0) a.aluImmediate(alu.sub, true, r.rsp, 8 * slots);
  a.move(true, r.r10, r.rdi);
  params.forEach((param, i) => {
    const from = at(r.r10, 8 * i);
    const valueType = type.params[i] as ValueType;
    if (param.kind === "float") a.floatLoad(!narrow(valueType), param.index, from);
    else if (param.kind === "integer") a.move(!narrow(valueType), param.index, from);
    else {
      a.move(true, r.r11, from);
      a.store(8, outgoing(param.index), r.r11);
    }
  });
  loadBase(a, memory);
  a.call(target);
  a.move(true, r.r10, at(r.rsp, 8 * slots));
  results.forEach((result, i) => {
    const to = at(r.r10, 16 + 8 * i);
    const valueType = type.results[i] as ValueType;
    if (result.kind === "float") a.floatStore(!narrow(valueType), to, result.index);
    else if (result.kind === "integer") a.store(8, to, result.index);
    else {
      a.move(true, r.r11, outgoing(result.index));
      a.store(8, to, r.r11);
    }
  });
  a.aluImmediate(alu.add, true, r.rsp, 8 * slots + 8);
  a.return();
  return a.finish();
}
