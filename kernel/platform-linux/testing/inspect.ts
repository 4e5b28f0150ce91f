/** The platform with a few requests more, for tests: they show the memory, and do to it what a compromised engine could do. */
import { Call, call, engineBase, read8, write8 } from "../cpu";
import { answer, begin, nextHeader, serve, Status, takeHeader } from "../main";
import { engineStackPointer, enginePages, hibernate, listedPage, pageBytes, reset, resume, scan, trackPages, wasmPageBytes } from "../pristine";

export { interrupt } from "../main";

const enum Inspect {
  /** Answers with the whole memory; the CPU time field holds the stack pointer. */
  show = 16,
  /** From here on it is not told which pages were written. */
  forgetTracking = 17,
  /** Writes `limitPages` bytes all over the memory, at places drawn from the number `cpuMs`, and spoils the stack pointer. */
  scribble = 18,
  /** Shows the machine in the berth. */
  showWaiting = 19,
  /** The next request is a start; then shows the memory as it left it. */
  startAndShow = 20,
  /** Leaves out what makes the memory the image again after the next request. */
  keepOnce = 21,
  /** Reads the first byte beyond the memory. */
  overreach = 22,
}

// @ts-ignore: decorator
@external("engine", "__stack_pointer")
declare let stackPointer: i32;

let keep: bool = false;

function show(number: u32): void {
  const count = scan();
  answer(number, Status.complete, engineBase(), enginePages() * wasmPageBytes, engineStackPointer(), false);
  // Looking must not count as writing: untouched zeroes that were read look like pages of the process's own.
  let next: u32 = 0;
  for (let page: u32 = 0; page < enginePages() * (wasmPageBytes / pageBytes); page++) {
    if (next < count && listedPage(next) === page) next++;
    else call(Call.madvise, engineBase() + (<u64>page << 12), pageBytes, 4);
  }
}

function scribble(count: u32, seed: u32): void {
  let state = seed | 1;
  const size = enginePages() * wasmPageBytes;
  for (let i: u32 = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    write8(engineBase() + state % size, state >> 8);
  }
  stackPointer = state;
}

export function main(): void {
  begin();
  for (;;) {
    const header = nextHeader();
    const operation = load<u32>(header, 4);
    const number = load<u32>(header, 8);
    const berth = load<u32>(header, 24);
    if (operation < <u32>Inspect.show) {
      serve();
      if (!keep) reset();
      keep = false;
      continue;
    }
    takeHeader();
    if (operation === Inspect.show) show(number);
    else if (operation === Inspect.forgetTracking) trackPages(false);
    else if (operation === Inspect.scribble) {
      scribble(load<u32>(header, 16), load<u32>(header, 20));
      reset();
    } else if (operation === Inspect.showWaiting) {
      resume(berth);
      show(number);
      hibernate(berth);
      reset();
    } else if (operation === Inspect.startAndShow) {
      serve();
      show(number);
      reset();
    } else if (operation === Inspect.overreach) answer(number, Status.complete, engineBase(), read8(engineBase() + <u64>enginePages() * wasmPageBytes) & 1, 0, false);
    else keep = true;
  }
}
