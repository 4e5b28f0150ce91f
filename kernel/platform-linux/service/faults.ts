/** Ends of a start: one line on descriptor 2, with a code, and exit status 1. docs/ERRORS.md has the codes. */
import { exit } from "../cpu";
import { beginFault, endLine, put, putAddress, putNumber } from "./text";

export const faultMemory: u32 = 0, faultKernel: u32 = 1, faultEntropy: u32 = 2, faultFilter: u32 = 3, faultLimits: u32 = 4, faultService: u32 = 5;

function sentence(kind: u32): string {
  switch (kind) {
    case faultMemory: return "the system gives no memory for the network's buffers: raise the limit of address space (ulimit -v)";
    case faultKernel: return "this Linux lacks a system call that it needs: it must be 5.9 or newer, for x86-64";
    case faultEntropy: return "the system gives no random numbers (getrandom): it can't serve without";
    case faultFilter: return "the system refused its filter of system calls (seccomp), without which it does not serve: allow seccomp where it runs";
    case faultLimits: return "the system refused its limits (prlimit, prctl): allow them where it runs";
    default: return "the service in this executable is malformed: build it again";
  }
}

/** Ends the process. */
export function fault(kind: u32): void {
  beginFault("MF_STANDALONE_START");
  put(sentence(kind));
  endLine();
  exit(1);
}

const inUse: i64 = -98, denied: i64 = -13, unavailable: i64 = -99;

/** Ends the process: the port can't be had. */
export function portFault(error: i64, address: u32, port: u32): void {
  beginFault("MF_STANDALONE_PORT");
  putAddress(address);
  put(":");
  putNumber(port);
  if (error === inUse) put(" is taken by another process: stop that, or choose another port with -p");
  else if (error === denied) put(" may not be listened on by this user: choose a port from 1024 on with -p");
  else if (error === unavailable) put(" is no address of this computer: choose one with -p ADDRESS:PORT, or 0.0.0.0 for all");
  else {
    put(" can't be listened on, error ");
    putNumber(-error);
  }
  endLine();
  exit(1);
}
