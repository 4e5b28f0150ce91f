/** Processor features that compiled code needs: `qemu64`, for one, lacks some. */
import { cpuid } from "./cpu";
import { exit, exitProcessor } from "./power";
import { printLine } from "./serial";

const inEcx: u32 = 2;
const sse41: u32 = 1 << 19;
const populationCount: u32 = 1 << 23;

export function checkProcessor(): void {
  const features = cpuid(1, 0, inEcx);
  if ((features & sse41) !== 0 && (features & populationCount) !== 0) return;
  printLine("mayfly: the processor has no SSE4.1 or no POPCNT: start the machine with -cpu max");
  exit(exitProcessor);
}
