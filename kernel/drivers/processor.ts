/** Processor features that compiled code needs: `qemu64`, for one, lacks some. And who made the processor up. */
import { cpuid } from "./cpu";
import { exitProcessor, powerOff } from "./power";
import { printLine } from "./serial";

const inEbx: u32 = 1, inEcx: u32 = 2;
const sse41: u32 = 1 << 19;
const populationCount: u32 = 1 << 23;
const hypervisorPresent: u32 = 1 << 31; // leaf 1, ecx
const hypervisorLeaf: u32 = 0x40000000;
const emulator: u32 = 0x54474354; // "TCGT", as QEMU without KVM calls itself
const kvm: u32 = 0x4b4d564b; // "KVMK"

export function checkProcessor(): void {
  const features = cpuid(1, 0, inEcx);
  if ((features & sse41) !== 0 && (features & populationCount) !== 0) return;
  printLine("mayfly: the processor has no SSE4.1 or no POPCNT: start the machine with -cpu max");
  powerOff(exitProcessor); // a reset would only start it again
}

let maker: u32 = 0;
let asked: bool = false;

/** First letters of the hypervisor's name, or 0. */
function hypervisor(): u32 {
  if (!asked && (cpuid(1, 0, inEcx) & hypervisorPresent) !== 0) maker = cpuid(hypervisorLeaf, 0, inEbx);
  asked = true;
  return maker;
}

export function isKvm(): bool { return hypervisor() === kvm; }
/** True if every instruction is emulated, so that a step takes some ten times as long. */
export function isEmulated(): bool { return hypervisor() === emulator; }
