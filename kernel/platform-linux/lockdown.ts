/**
 * Gives up everything the loop does not need, before the first message. docs/PROCESS.md has the list with reasons.
 * Each part that fails ends the process with an exit code of its own, which the monitor turns into MF_PLATFORM.
 */
import { address, call, Call, engineBase, exit, frozenBase, platformBase, stackLimit } from "./cpu";
import { beginFilter, beginRule, endRule, installRules, loadHigh, loadLow, require, requireArgument, requireEither } from "./filter";

/** Exit codes of a start that failed; monitors/process/wire.ts has the sentences. */
export const enum Fault {
  prctl = 70,
  limits = 71,
  descriptors = 72,
  frozen = 73,
  seccomp = 74,
}

/** The descriptor of /proc/self/pagemap, and whether it is there. */
export const pagemapFile: u32 = 3;

const enum Prctl {
  setParentDeathSignal = 1,
  setDumpable = 4,
  setNoNewPrivileges = 38,
  setHugePagesDisabled = 41,
}
const signalKill: u64 = 9;

function must(result: i64, fault: Fault): void {
  if (result < 0) exit(fault);
}

// "/proc/self/pagemap"
// @ts-ignore: decorator
@lazy const pagemapPath: usize = memory.data<u8>([
  47, 112, 114, 111, 99, 47, 115, 101, 108, 102, 47, 112, 97, 103, 101, 109, 97, 112, 0
]);

// Resources of setrlimit(2). FSIZE stays: standard output may be a file.
const enum Resource {
  core = 4,
  processes = 6,
  files = 7,
  lockedMemory = 8,
  addressSpace = 9,
  messageQueues = 12,
}
/** Code, stack, the largest machine twice (its memory and its image), and the pages of those that wait. */
const addressSpaceBytes: u64 = 1 << 30;

// @ts-ignore: decorator
@lazy const limit: usize = memory.data(16, 8);

function limitTo(resource: Resource, value: u64): void {
  store<u64>(limit, value);
  store<u64>(limit, value, 8);
  must(call(Call.prlimit, 0, resource, address(limit), 0), Fault.limits);
}

function addRules(): void {
  const engine = <u32>(engineBase() >> 32);
  beginRule(Call.read);
  requireArgument(0, 0);
  endRule();
  beginRule(Call.write);
  loadHigh(0);
  require(0);
  loadLow(0);
  requireEither(1, 2);
  endRule();
  beginRule(Call.clockGettime);
  requireArgument(0, 2);
  endRule();
  beginRule(Call.pread);
  requireArgument(0, pagemapFile);
  endRule();
  // Fresh zeroes in the engine's window, or in the one where machines that wait are kept.
  beginRule(Call.mmap);
  loadHigh(0);
  requireEither(engine, <u32>(platformBase() >> 32));
  loadHigh(1);
  require(0);
  requireArgument(2, 3); // PROT_READ | PROT_WRITE
  requireArgument(3, 0x4032); // MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
  endRule();
  beginRule(Call.munmap);
  loadHigh(0);
  require(engine);
  loadHigh(1);
  require(0);
  endRule();
  beginRule(Call.madvise);
  loadHigh(0);
  requireEither(engine, <u32>(stackLimit() >> 32));
  loadHigh(1);
  require(0);
  requireArgument(2, 4); // MADV_DONTNEED
  endRule();
  beginRule(Call.rtSigreturn); // after a trap, to the code that reports it
  endRule();
  beginRule(Call.exitGroup);
  endRule();
}

function installFilter(): void {
  beginFilter();
  addRules();
  must(installRules(), Fault.seccomp);
}

// "/proc/self/oom_score_adj" and "1000"
// @ts-ignore: decorator
@lazy const oomScorePath: usize = memory.data<u8>([
  47, 112, 114, 111, 99, 47, 115, 101, 108, 102, 47, 111, 111, 109, 95, 115, 99, 111, 114, 101, 95, 97, 100, 106, 0
]);
// @ts-ignore: decorator
@lazy const oomScore: usize = memory.data<u8>([49, 48, 48, 48]);

/** When the system runs out of memory, machines go before whatever else runs. Where /proc is not there they go in their turn. */
function offerToOomKiller(): void {
  const file = call(Call.open, address(oomScorePath), 0x80001); // O_WRONLY | O_CLOEXEC
  if (file < 0) return;
  call(Call.write, file, address(oomScore), 4);
  call(Call.close, file);
}

/** True when the kernel tells which pages were written (/proc is mounted). `restBytes`: size of the image's memory. */
export function lockDown(restBytes: u64): bool {
  must(call(Call.prctl, Prctl.setNoNewPrivileges, 1), Fault.prctl);
  must(call(Call.prctl, Prctl.setParentDeathSignal, signalKill), Fault.prctl);
  call(Call.prctl, Prctl.setHugePagesDisabled, 1); // saves memory only
  must(call(Call.closeRange, 3, 0xffffffff, 0), Fault.descriptors);
  offerToOomKiller();
  const file = call(Call.open, address(pagemapPath), 0x80000); // O_RDONLY | O_CLOEXEC
  if (file >= 0 && file !== pagemapFile) exit(Fault.descriptors);
  must(call(Call.mprotect, frozenBase(), restBytes, 1), Fault.frozen); // PROT_READ
  must(call(Call.prctl, Prctl.setDumpable, 0), Fault.prctl);
  limitTo(Resource.core, 0);
  limitTo(Resource.processes, 0);
  limitTo(Resource.files, 0);
  limitTo(Resource.lockedMemory, 0);
  limitTo(Resource.messageQueues, 0);
  limitTo(Resource.addressSpace, addressSpaceBytes);
  installFilter();
  return file >= 0;
}
