/** Queries of the DNS client: each has a socket of its own, connected to the server, so that only that may answer, and its port is the kernel's choice. */
import { carryQueries, knownNames, receiveDns } from "../dns/mod";
import { close, connect, receive, transmit } from "./host";

/** Numbers of queries' sockets in events: this one, and those after it. */
export const firstQuery: u32 = 0x30000;
const dnsPort: u32 = 53;
const answerBytes: u32 = 1500;

/** Big endian; 0: none is known. */
let server: u32 = 0;
/** Descriptor of each query + 1; 0: the place is free. */
// @ts-ignore: decorator
@lazy const places: usize = memory.data(128, 4);
// @ts-ignore: decorator
@lazy const answer: usize = memory.data(1504, 8);

function setPlace(index: u32, value: i32): void { store<i32>(places + (<usize>index << 2), value); }
function place(index: u32): i32 { return load<i32>(places + (<usize>index << 2)); }

/** The address of the DNS server, big endian. */
export function startQueries(address: u32): void {
  server = address;
  carryQueries(send, forget);
}

function send(at: usize, length: u32): u32 {
  let index: u32 = 0;
  while (index < knownNames && place(index) !== 0) index++;
  if (server === 0 || index === knownNames) return 0;
  const socket = connect(server, dnsPort, firstQuery + index, 1);
  if (socket < 0) return 0;
  setPlace(index, socket + 1);
  transmit(socket, <u32>at, length); // nothing says that it was sent: the next try is another one
  return index + 1;
}

function forget(number: u32): void {
  const socket = place(number - 1) - 1;
  setPlace(number - 1, 0);
  if (socket >= 0) close(socket, 0);
}

/** Something has come for a query. */
export function queryEvent(index: u32): void {
  while (index < knownNames && place(index) !== 0) {
    const length = receive(place(index) - 1, <u32>answer, answerBytes);
    if (length < 0) return;
    receiveDns(index + 1, answer, length);
  }
}
