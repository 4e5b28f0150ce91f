/** The exports of the network's module (kernel/net/linux.ts), and its memory. What it answers is checked: it may be hostile. */

// @ts-ignore: decorator
@external("net", "configBuffer")
export declare function configBuffer(length: u32): u32;
// @ts-ignore: decorator
@external("net", "configure")
export declare function configure(kind: u32, length: u32): u32;
// @ts-ignore: decorator
@external("net", "start")
export declare function start(): void;
/** True when the service has outlets. */
// @ts-ignore: decorator
@external("net", "reaches")
export declare function reaches(): u32;
// @ts-ignore: decorator
@external("net", "sayServing")
export declare function sayServing(address: u32): void;
// @ts-ignore: decorator
@external("net", "event")
export declare function event(number: u32, events: u32): void;
// @ts-ignore: decorator
@external("net", "poll")
export declare function poll(): u64;
// @ts-ignore: decorator
@external("net", "flush")
export declare function flush(): u32;
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

// @ts-ignore: decorator
@external("symbol", "memory.net.base")
export declare function netBase(): u64;
// @ts-ignore: decorator
@external("symbol", "memory.net.descriptor")
export declare function netDescriptor(): u64;
/** The service's frame (abi/service.ts): magic u32, length u32, … */
// @ts-ignore: decorator
@external("symbol", "memory.service.base")
export declare function serviceBase(): u64;
