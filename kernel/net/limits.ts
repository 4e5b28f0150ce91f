/** Bounds of the modules in this folder that several rooms share. */

/** Room of the buffer for an incoming frame, in bytes. */
export const frameBytes: u32 = 2048;
