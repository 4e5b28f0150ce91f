/** The exports of the network's module (kernel/net); each call changes memories on its way. What it answers is checked: it may be hostile. */

// @ts-ignore: decorator
@external("net", "configBuffer")
export declare function configBuffer(length: u32): u32;
// @ts-ignore: decorator
@external("net", "configure")
export declare function configure(kind: u32, length: u32): u32;
// @ts-ignore: decorator
@external("net", "start")
export declare function start(macHigh: u32, macLow: u32): void;
// @ts-ignore: decorator
@external("net", "frameBuffer")
export declare function frameBuffer(): u32;
// @ts-ignore: decorator
@external("net", "receive")
export declare function receive(length: u32): void;
// @ts-ignore: decorator
@external("net", "poll")
export declare function poll(): u64;
// @ts-ignore: decorator
@external("net", "nextJob")
export declare function nextJob(): u32;
// @ts-ignore: decorator
@external("net", "effectsBuffer")
export declare function effectsBuffer(length: u32): u32;
// @ts-ignore: decorator
@external("net", "done")
export declare function done(slot: u32, kind: u32, length: u32): void;
// @ts-ignore: decorator
@external("net", "button")
export declare function button(): void;
