/** Bounds of the decoder; everything it allocates is bounded by these and by the module's own length. */
export const decodeLimits = {
  moduleBytes: 64 * 2 ** 20,
  /** Of all function bodies together: a decoded operator takes about 64 bytes. */
  codeBytes: 16 * 2 ** 20,
  types: 1_000_000,
  /** Of imports, functions, globals, exports and segments each. */
  items: 1_000_000,
  params: 1000,
  results: 1000,
  /** Per function, parameters included. */
  locals: 50_000,
  branchTargets: 100_000,
  /** Pages of 64 KiB (spec 3.2.4: 2¹⁶). */
  memoryPages: 65_536,
} as const;
