/** The exports of the natives and the engine that the drivers call; each call changes memories on its way (compiler/link/stubs.ts). */

// @ts-ignore: decorator
@external("native", "eventBuffer")
export declare function eventBuffer(length: u32): u32;
// @ts-ignore: decorator
@external("native", "step")
export declare function step(): i32;
// @ts-ignore: decorator
@external("native", "effects")
export declare function effects(): u32;
// @ts-ignore: decorator
@external("native", "effectsLength")
export declare function effectsLength(): u32;
// @ts-ignore: decorator
@external("native", "noteInterrupt")
export declare function noteInterrupt(): void;
// @ts-ignore: decorator
@external("engine", "__stack_pointer")
export declare let stackPointer: u32;
