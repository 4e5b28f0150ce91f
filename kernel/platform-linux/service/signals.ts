/** Signals as events: SIGTERM and SIGINT drain, and end at once the second time. A peer or a reader that is gone is an error, and no signal. */
import { address, call, Call } from "../cpu";
import { fault, faultKernel } from "./faults";

/** Its number in events. */
export const signalNumber: u64 = 0x20000;
const brokenPipe: u64 = 13;
/** SIGINT and SIGTERM, a bit each from signal 1 on. */
const wanted: u64 = (1 << 1) | (1 << 14);

export let signals: u32 = 0;
// @ts-ignore: decorator
@lazy const set: usize = memory.data(8, 8);
// struct sigaction { handler; flags; restorer; mask }
// @ts-ignore: decorator
@lazy const ignored: usize = memory.data(32, 8);
// @ts-ignore: decorator
@lazy const record: usize = memory.data(128, 8);
export const recordBytes: u64 = 128;

export function startSignals(): void {
  store<u64>(ignored, 1); // SIG_IGN
  call(Call.rtSigaction, brokenPipe, address(ignored), 0, 8);
  store<u64>(set, wanted);
  call(Call.rtSigprocmask, 0, address(set), 0, 8); // SIG_BLOCK
  const made = call(Call.signalfd4, ~0, address(set), 8, 0x80800); // SFD_NONBLOCK | SFD_CLOEXEC
  if (made < 0) fault(faultKernel);
  signals = <u32>made;
}

/** Takes the signal that has come. */
export function takeSignal(): void {
  call(Call.read, signals, address(record), recordBytes);
}
