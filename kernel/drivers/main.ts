/** The boot sequence from the first 64-bit instruction to the first message. compiler/runtime/pvh.ts has the part before. */
import { endOfMemory, printMemoryMap } from "./boot-info";
import { startChannel } from "./channel";
import { ageMicroseconds, clockIsKvms, startClock, ticksPerMillisecond } from "./clock";
import { hasWord } from "./command-line";
import { entropyWorks, startEntropy } from "./entropy";
import { startExceptions } from "./exceptions";
import { freeFrames, startFrames } from "./frames";
import { checkImage } from "./image";
import { startInterrupts } from "./interrupts";
import { headerAt, headerFree, headerFrozenCount, pageBytes } from "./map";
import { restUnits, putBack, startPages } from "./pages";
import { exit, exitNoChannel } from "./power";
import { checkProcessor } from "./processor";
import { sayReady, serve } from "./serve";
import { print, printLine, printNumber, startSerial } from "./serial";

export { handleException } from "./exceptions";
export { hostInterrupt } from "./serve";

export function main(): void {
  startSerial();
  checkProcessor();
  startExceptions();
  checkImage();
  startInterrupts();
  startClock();
  startFrames(load<u32>(<usize>headerAt, headerFree), endOfMemory());
  startPages();
  putBack();
  startEntropy();
  if (hasWord("verbose")) report();
  if (!startChannel()) endWithoutChannel();
  sayReady();
  serve();
}

function endWithoutChannel(): void {
  printLine("mayfly: the image is ready, but there is no virtio console to take messages from");
  exit(exitNoChannel);
}

function report(): void {
  printLine("mayfly: memory map");
  printMemoryMap();
  print("mayfly: image of ");
  printNumber(load<u32>(<usize>headerAt, headerFrozenCount));
  print(" frozen pages, ");
  printNumber(restUnits() * 64);
  print(" KiB at rest, ");
  printNumber((freeFrames() * <u32>pageBytes) / 1024);
  print(" KiB free, ");
  printNumber(ageMicroseconds());
  printLine(" us old");
  print("mayfly: time stamp counter ");
  printNumber(ticksPerMillisecond() / 1000);
  print(clockIsKvms() ? " MHz as KVM tells" : " MHz by the local APIC's timer");
  printLine(entropyWorks ? "; seeds are checked" : "");
}
