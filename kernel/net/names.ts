/** The port for names and datagrams, beside streams.ts: registered once at start by stack/ on metal, by sockets on Linux. */

type Resolve = (at: usize, length: u32, ask: u32) => bool;
type Resolved = (ask: u32, address: u32) => void;
type Datagram = (address: u32, port: u32, fromPort: u32, at: usize, length: u32) => bool;

/** Looks up the address of a host's name or of a dotted quad; `resolved` comes later, from a poll. False: too many are under way, or the name is malformed. */
export let resolve: Resolve = (_at: usize, _length: u32, _ask: u32): bool => false;
/** The answer to `resolve`; address 0: the name has no address, or nobody answered. */
export let resolved: Resolved = (_ask: u32, _address: u32): void => {};
/** Sends a datagram of at most 1,472 bytes over UDP; false when it can't be sent. Nothing says whether it arrives. */
export let datagram: Datagram = (_address: u32, _port: u32, _fromPort: u32, _at: usize, _length: u32): bool => false;

export function carryResolve(call: Resolve): void { resolve = call; }
export function onResolved(call: Resolved): void { resolved = call; }
export function carryDatagram(call: Datagram): void { datagram = call; }
