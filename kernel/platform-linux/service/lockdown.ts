/**
 * Gives up everything the service does not need, before it reads a byte of a stranger. docs/STANDALONE.md has the list with reasons. What is
 * not in it kills the process.
 */
import { address, call, Call, engineBase, frozenBase, platformBase, stackLimit } from "../cpu";
import { beginFilter, beginRule, endRule, installRules, loadHigh, loadLow, require, requireArgument, requireDescriptor, requireEither, requireOneOf, requireWindow } from "../filter";
import { fault, faultFilter, faultLimits } from "./faults";
import { netBase, reaches } from "./net";
import { datagrams, firstSocket, inet, listenerA, listenerB, noSignal, poller, socketFlags, stream } from "./sockets";
import { recordBytes, signals } from "./signals";

// Resources of setrlimit(2).
const core: u64 = 4, processes: u64 = 6, files: u64 = 7, lockedMemory: u64 = 8, addressSpace: u64 = 9, messageQueues: u64 = 12;
/** Code, stack, the largest machine twice (its memory and its image), the network's memory, and the pages of machines that wait. */
const addressSpaceBytes: u64 = 1 << 30;

// @ts-ignore: decorator
@lazy const limit: usize = memory.data(16, 8);

function limitTo(resource: u64, value: u64): void {
  store<u64>(limit, value);
  store<u64>(limit, value, 8);
  if (call(Call.prlimit, 0, resource, address(limit), 0) < 0) fault(faultLimits);
}

/** Raises the limit of descriptors as far as it may be; returns it. */
export function raiseFiles(): u32 {
  if (call(Call.prlimit, 0, files, 0, address(limit)) < 0) fault(faultLimits);
  const most = load<u64>(limit, 8);
  store<u64>(limit, most);
  if (call(Call.prlimit, 0, files, address(limit), 0) < 0) fault(faultLimits);
  return <u32>min<u64>(most, 1 << 20);
}

function addMemoryRules(): void {
  const engine = <u32>(engineBase() >> 32);
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
}

function addFileRules(): void {
  beginRule(Call.write);
  loadHigh(0);
  require(0);
  loadLow(0);
  requireEither(1, 2);
  endRule();
  beginRule(Call.poll);
  requireWindow(0, platformBase());
  requireArgument(1, 1);
  endRule();
  beginRule(Call.read);
  requireArgument(0, signals);
  requireWindow(1, platformBase());
  requireArgument(2, <u32>recordBytes);
  endRule();
}

/** The calls of each request: the filter is walked from its beginning. */
function addCommonRules(): void {
  beginRule(Call.clockGettime);
  loadHigh(0);
  require(0);
  loadLow(0);
  requireEither(0, 1); // CLOCK_REALTIME, CLOCK_MONOTONIC
  requireWindow(1, platformBase());
  endRule();
  beginRule(Call.epollWait);
  requireArgument(0, poller);
  requireWindow(1, platformBase());
  endRule();
  beginRule(Call.recvfrom);
  requireDescriptor(0, firstSocket);
  requireWindow(1, netBase());
  requireArgument(3, 0);
  requireArgument(4, 0);
  endRule();
  beginRule(Call.sendto);
  requireDescriptor(0, firstSocket);
  requireWindow(1, netBase());
  requireArgument(3, <u32>noSignal);
  requireArgument(4, 0);
  endRule();
  beginRule(Call.mprotect); // from the handler of faults too
  loadHigh(0);
  requireEither(<u32>(engineBase() >> 32), <u32>(stackLimit() >> 32));
  loadHigh(1);
  require(0);
  loadHigh(2);
  require(0);
  loadLow(2);
  requireOneOf(0, 1, 3); // PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE
  endRule();
  beginRule(Call.madvise);
  loadHigh(0);
  requireEither(<u32>(engineBase() >> 32), <u32>(stackLimit() >> 32));
  loadHigh(1);
  require(0);
  requireArgument(2, 4); // MADV_DONTNEED
  endRule();
}

function addSocketRules(): void {
  beginRule(Call.accept4);
  loadHigh(0);
  require(0);
  loadLow(0);
  requireEither(listenerA, listenerB === 0 ? listenerA : listenerB);
  requireWindow(1, platformBase());
  requireWindow(2, platformBase());
  requireArgument(3, <u32>socketFlags);
  endRule();
  beginRule(Call.shutdown);
  requireDescriptor(0, firstSocket);
  requireArgument(1, 1); // SHUT_WR
  endRule();
  beginRule(Call.close);
  requireDescriptor(0, firstSocket);
  endRule();
  beginRule(Call.setsockopt);
  requireDescriptor(0, firstSocket);
  requireArgument(1, 1); // SOL_SOCKET
  requireArgument(2, 13); // SO_LINGER
  requireWindow(3, platformBase());
  endRule();
  beginRule(Call.epollCtl);
  requireArgument(0, poller);
  requireArgument(1, 1); // EPOLL_CTL_ADD
  requireDescriptor(2, firstSocket);
  requireWindow(3, platformBase());
  endRule();
}

/** Without outlets nothing is ever connected. */
function addConnectRules(): void {
  beginRule(Call.socket);
  requireArgument(0, <u32>inet);
  loadHigh(1);
  require(0);
  loadLow(1);
  requireEither(<u32>(stream | socketFlags), <u32>(datagrams | socketFlags));
  requireArgument(2, 0);
  endRule();
  beginRule(Call.connect);
  requireDescriptor(0, firstSocket);
  requireWindow(1, platformBase());
  requireArgument(2, 16);
  endRule();
}

function addRules(): void {
  addCommonRules();
  addSocketRules();
  addFileRules();
  addMemoryRules();
  if (reaches() !== 0) addConnectRules();
  beginRule(Call.getrandom);
  requireWindow(0, platformBase());
  requireArgument(1, 256);
  requireArgument(2, 0);
  endRule();
  beginRule(Call.rtSigreturn); // from the alarm, and after a trap
  endRule();
  beginRule(Call.exitGroup);
  endRule();
}

const setDumpable: u64 = 4, setNoNewPrivileges: u64 = 38, setHugePagesDisabled: u64 = 41;

/** `restBytes`: size of the image's memory. */
export function lockDown(restBytes: u64): void {
  if (call(Call.prctl, setNoNewPrivileges, 1) < 0) fault(faultLimits);
  call(Call.prctl, setHugePagesDisabled, 1); // saves memory only
  if (call(Call.mprotect, frozenBase(), restBytes, 1) < 0) fault(faultLimits); // PROT_READ
  if (call(Call.prctl, setDumpable, 0) < 0) fault(faultLimits);
  limitTo(core, 0);
  limitTo(processes, 0);
  limitTo(lockedMemory, 0);
  limitTo(messageQueues, 0);
  limitTo(addressSpace, addressSpaceBytes);
  beginFilter();
  addRules();
  if (installRules() < 0) fault(faultFilter);
}
