/** Sends and calls of flows to outlets. */
import { Outlet } from "./config";
import { Message } from "./message";

export let blamedOrigin: u32 = 0, blamedStatus: u32 = 0;
export function blameOf(_m: Message, _at: usize, _length: u32): bool { return false; }
export function addSend(_m: Message, _outlet: Outlet): bool { return false; }
export function startCall(_m: Message): bool { return false; }
export function startSends(_m: Message): void {}
export function cancelCalls(_m: Message): void {}
