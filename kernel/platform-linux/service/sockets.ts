/**
 * Sockets for the network's module (kernel/net/sockets/host.ts): it names descriptors, addresses in its memory and numbers, and gets results of
 * system calls. Descriptors below `firstSocket` are the platform's. The kernel's filter (lockdown.ts) checks the same once more.
 */
import { address, call, Call, write32 } from "../cpu";
import { listenAddress, listenPort } from "./arguments";
import { portFault, fault, faultKernel } from "./faults";
import { backlog, eventsAtOnce } from "./limits";
import { inNet } from "./memory";
import { event, netBase } from "./net";

const badDescriptor: i32 = -9, badAddress: i32 = -14, inProgress: i32 = -115;
/** AF_INET, SOCK_STREAM, SOCK_DGRAM */
export const inet: u64 = 2, stream: u64 = 1, datagrams: u64 = 2;
/** SOCK_NONBLOCK | SOCK_CLOEXEC */
export const socketFlags: u64 = 0x80800;
/** EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET */
const changes: u32 = 0x1 | 0x4 | 0x2000 | 0x8000_0000;
const firstListener: u64 = 0x10000;
export const noSignal: u64 = 0x4000; // MSG_NOSIGNAL

export let poller: u32 = 0;
/** Descriptors from here on are sockets. */
export let firstSocket: u32 = 0;
/** Listening sockets; 0: none. */
export let listenerA: u32 = 0, listenerB: u32 = 0;

// struct sockaddr_in { u16 family; u16 port; u32 address; u64 0 }, and its length
// @ts-ignore: decorator
@lazy const place: usize = memory.data(16, 8);
// @ts-ignore: decorator
@lazy const placeLength: usize = memory.data(8, 8);
// struct epoll_event { u32 events; u64 data }, packed
// @ts-ignore: decorator
@lazy const watched: usize = memory.data(16, 8);
// @ts-ignore: decorator
@lazy const events: usize = memory.data(768, 8);
// struct linger { i32 on; i32 seconds }
// @ts-ignore: decorator
@lazy const linger: usize = memory.data(8, 8);
// @ts-ignore: decorator
@lazy const one: usize = memory.data(8, 8);

function setPlace(host: u32, port: u32): void {
  store<u16>(place, <u16>inet);
  store<u16>(place, <u16>bswap<u16>(<u16>port), 2);
  store<u32>(place, bswap<u32>(host), 4);
  store<u64>(place, 0, 8);
}

/** Tells of changes of a descriptor by this number. */
export function watch(descriptor: i64, what: u32, number: u64): i64 {
  store<u32>(watched, what);
  store<u64>(watched, number, 4);
  return call(Call.epollCtl, poller, 1, descriptor, address(watched)); // EPOLL_CTL_ADD
}

/** After every descriptor of the platform was opened but the poller. */
export function startSockets(): void {
  const made = call(Call.epollCreate, 0x80000); // EPOLL_CLOEXEC
  if (made < 0) fault(faultKernel);
  poller = <u32>made;
  firstSocket = poller + 1;
  store<u32>(linger, 1);
  store<u32>(one, 1);
}

let openFiles: u32 = 0;
export function setOpenFiles(count: u32): void { openFiles = count; }

/** For the module: descriptors that it may have. */
export function sockets(): u32 {
  return openFiles > firstSocket ? openFiles - firstSocket : 0;
}

/** For the module, before it serves: listens, the first time on the port of -p if there is one. Returns the port. */
export function listen(port: u32): u32 {
  if (listenerB !== 0) return 0;
  const isFirst = listenerA === 0;
  const wanted = isFirst && listenPort !== 0 ? listenPort : port;
  const socket = call(Call.socket, inet, stream | socketFlags, 0);
  if (socket < 0) portFault(socket, listenAddress, wanted);
  call(Call.setsockopt, socket, 1, 2, address(one), 4); // SO_REUSEADDR
  call(Call.setsockopt, socket, 6, 1, address(one), 4); // TCP_NODELAY, which accepted sockets inherit
  setPlace(listenAddress, wanted);
  let result = call(Call.bind, socket, address(place), 16);
  if (result === 0) result = call(Call.listen, socket, backlog);
  if (result === 0) result = watch(socket, 0x1 | 0x8000_0000, firstListener + (isFirst ? 0 : 1)); // EPOLLIN, EPOLLET
  if (result < 0) portFault(result, listenAddress, wanted);
  if (isFirst) listenerA = <u32>socket;
  else listenerB = <u32>socket;
  return wanted;
}

export function unlisten(): void {
  if (listenerA !== 0) call(Call.close, listenerA);
  if (listenerB !== 0) call(Call.close, listenerB);
  listenerA = listenerB = 0;
}

export function accept(index: u32, number: u32, at: u32): i32 {
  const listener = index === 0 ? listenerA : listenerB;
  if (listener === 0) return badDescriptor;
  if (!inNet(at, 8)) return badAddress;
  store<u32>(placeLength, 16);
  const socket = <i32>call(Call.accept4, listener, address(place), address(placeLength), socketFlags);
  if (socket < 0) return socket;
  const result = <i32>watch(socket, changes, number);
  if (result < 0) {
    call(Call.close, socket);
    return result;
  }
  write32(netBase() + at, bswap<u32>(load<u32>(place, 4)));
  write32(netBase() + at + 4, bswap<u16>(load<u16>(place, 2)));
  return socket;
}

export function connect(host: u32, port: u32, number: u32, isDatagram: u32): i32 {
  const socket = <i32>call(Call.socket, inet, (isDatagram === 0 ? stream : datagrams) | socketFlags, 0);
  if (socket < 0) return socket;
  setPlace(host, port);
  let result = <i32>call(Call.connect, socket, address(place), 16);
  if (result === 0 || result === inProgress) result = <i32>watch(socket, changes, number);
  if (result >= 0) return socket;
  call(Call.close, socket);
  return result;
}

export function receive(socket: i32, at: u32, length: u32): i32 {
  if (<u32>socket < firstSocket || socket < 0) return badDescriptor;
  if (!inNet(at, length)) return badAddress;
  return <i32>call(Call.recvfrom, socket, netBase() + at, length, 0, 0, 0);
}

export function transmit(socket: i32, at: u32, length: u32): i32 {
  if (<u32>socket < firstSocket || socket < 0) return badDescriptor;
  if (!inNet(at, length)) return badAddress;
  return <i32>call(Call.sendto, socket, netBase() + at, length, noSignal, 0, 0);
}

export function shutdown(socket: i32): void {
  if (<u32>socket >= firstSocket && socket >= 0) call(Call.shutdown, socket, 1); // SHUT_WR
}

export function close(socket: i32, isReset: u32): void {
  if (<u32>socket < firstSocket || socket < 0) return;
  if (isReset !== 0) call(Call.setsockopt, socket, 1, 13, address(linger), 8); // SO_LINGER of no time: a reset
  call(Call.close, socket);
}

/** Sleeps until something happens, for `ms` at most; tells the module. Returns true if one of the events was the platform's own. */
export function waitForEvents(ms: u64, own: u64): bool {
  const count = call(Call.epollWait, poller, address(events), eventsAtOnce, ms);
  let isOwn = false;
  for (let index: i64 = 0; index < count; index++) {
    const at = events + <usize>index * 12;
    const number = load<u64>(at, 4);
    if (number === own) isOwn = true;
    else event(<u32>number, load<u32>(at));
  }
  return isOwn;
}
