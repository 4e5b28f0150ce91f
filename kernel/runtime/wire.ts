/**
 * The numbers of the door as the runtime uses them. They repeat `EventKind`, `EffectKind` and the order of parts of abi/, which
 * can't be imported here because its codecs need Node's TextEncoder; a test holds the two equal.
 */

export const deliverKind = 1;
export const resolveKind = 2;
export const wakeKind = 3;
export const cancelKind = 4;
export const signalKind = 5;
export const resumeKind = 6;

/** Part 0 of every event: its time in milliseconds since 1970. */
export const timePart = 0;

export const deliverPart = { id: 2, source: 3, attempt: 4, key: 5, headers: 6, state: 7, body: 8 } as const;
export const resolvePart = { call: 1, errorCode: 2, errorMessage: 3, status: 4, headers: 5, body: 6 } as const;
export const wakePart = { timer: 1 } as const;
export const cancelPart = { reason: 1 } as const;
export const signalPart = { wait: 1, id: 2, headers: 3, body: 4 } as const;
export const resumePart = { attempt: 1, state: 2 } as const;

export const logEffect = 1;
export const sendEffect = 2;
export const callEffect = 3;
export const timerEffect = 4;
export const stateEffect = 5;
export const doneEffect = 6;
export const failEffect = 7;
export const waitEffect = 8;
export const continueEffect = 9;

/** In place of the flag of a fail effect: an error of the program itself. */
export const flawByte = 2;

/** Levels of a log effect. */
export const debugLevel = 0;
export const infoLevel = 1;
export const warnLevel = 2;
export const errorLevel = 3;

/** Operations of a call effect. */
export const requestOperation = 0;
export const fetchOperation = 1;
export const stateOperation = 2;
export const windowOperation = 3;
