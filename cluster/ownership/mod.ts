/** Which node owns which partition. */
export { Ownership, type OwnershipOptions } from "./ownership.ts";
export { ownershipLimits } from "./limits.ts";
export { openStreamStore, type StoreOptions } from "./stream-store.ts";
export type { Store } from "./store.ts";
