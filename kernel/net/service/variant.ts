/** The two forms of this module: scripts/build-kernel.mjs compiles it with the code that judges tokens, and without it. */

/** A constant of the compiler: what stands behind it is in one form only. */
// @ts-ignore: decorator
@inline export const takesTokens: bool = isDefined(TAKES_TOKENS);
/** The type of a way that is a token (abi/service.ts). */
export const tokenType: u32 = 4;
