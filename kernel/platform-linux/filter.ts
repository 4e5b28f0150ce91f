/**
 * Builds the seccomp filter: classic BPF over struct seccomp_data { u32 number; u32 architecture; u64 instruction; u64 arguments[6]; }.
 *
 *     beginFilter → for each call that is allowed: beginRule, what its arguments must be, endRule → installRules
 *
 * Everything else kills the process, calls of other architectures and of the x32 interface too.
 */
import { address, call, Call } from "./cpu";

const mostInstructions: u32 = 384;
// @ts-ignore: decorator
@lazy const program: usize = memory.data(3072, 8);
// struct sock_fprog { u16 length; struct sock_filter *filter; }
// @ts-ignore: decorator
@lazy const programHeader: usize = memory.data(16, 8);

const loadWord: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jumpIfEqual: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const jumpIfAtLeast: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const answer: u16 = 0x06; // BPF_RET | BPF_K
const allow: u32 = 0x7fff0000;
const killProcess: u32 = 0x80000000;
const architectureX64: u32 = 0xc000003e;

let length: u32 = 0;
let isFull: bool = false;
let ruleStart: u32 = 0;

function emit(code: u16, whenTrue: u8, whenFalse: u8, value: u32): void {
  if (length === mostInstructions) {
    isFull = true;
    return;
  }
  const at = program + <usize>(length++) * 8;
  store<u16>(at, code);
  store<u8>(at, whenTrue, 2);
  store<u8>(at, whenFalse, 3);
  store<u32>(at, value, 4);
}

/** Kills unless the word loaded last is `value`. */
export function require(value: u32): void {
  emit(jumpIfEqual, 1, 0, value);
  emit(answer, 0, 0, killProcess);
}
/** Kills unless it is one of two. */
export function requireEither(a: u32, b: u32): void {
  emit(jumpIfEqual, 2, 0, a);
  emit(jumpIfEqual, 1, 0, b);
  emit(answer, 0, 0, killProcess);
}
/** Kills unless it is one of three. */
export function requireOneOf(a: u32, b: u32, c: u32): void {
  emit(jumpIfEqual, 3, 0, a);
  emit(jumpIfEqual, 2, 0, b);
  emit(jumpIfEqual, 1, 0, c);
  emit(answer, 0, 0, killProcess);
}
/** Kills unless the argument is a descriptor of `least` or above. */
export function requireDescriptor(index: u32, least: u32): void {
  loadHigh(index);
  require(0);
  loadLow(index);
  emit(jumpIfAtLeast, 1, 0, least);
  emit(answer, 0, 0, killProcess);
}
/** Kills unless the argument is an address in the window of 4 GiB that begins with `window`. */
export function requireWindow(index: u32, window: u64): void {
  loadHigh(index);
  require(<u32>(window >> 32));
}
export function loadLow(index: u32): void {
  emit(loadWord, 0, 0, 16 + 8 * index);
}
export function loadHigh(index: u32): void {
  emit(loadWord, 0, 0, 20 + 8 * index);
}
export function requireArgument(index: u32, value: u32): void {
  loadHigh(index);
  require(0);
  loadLow(index);
  require(value);
}

/** The number is still loaded here: a rule before this one that matched has ended in an answer. */
export function beginRule(number: Call): void {
  ruleStart = length;
  emit(jumpIfEqual, 0, 0, number);
}
export function endRule(): void {
  emit(answer, 0, 0, allow);
  store<u8>(program + <usize>ruleStart * 8, <u8>(length - ruleStart - 1), 3);
}

export function beginFilter(): void {
  emit(loadWord, 0, 0, 4);
  require(architectureX64);
  emit(loadWord, 0, 0, 0);
}

/** Installs the filter; negative when the kernel refuses it, or it has too many rules. */
export function installRules(): i64 {
  emit(answer, 0, 0, killProcess);
  if (isFull) return -1;
  store<u16>(programHeader, <u16>length);
  store<u64>(programHeader, address(program), 8);
  return call(Call.seccomp, 1, 0, address(programHeader)); // SECCOMP_SET_MODE_FILTER
}
