/** Which node owns which partition. */
export { Ownership, type OwnershipOptions, type ShownNode } from "./ownership.ts";
export { openStreamStore, type StoreOptions } from "./stream-store.ts";
