/** Reloads of a cluster in two steps: all nodes swap to one revision, or none. */
export { type ReloadQuestion } from "./coordinator.ts";
export { type ReloadedNode } from "./participant.ts";
export { ClusterReloads } from "./reload.ts";
export { newRevisionKey, revisionOf } from "./revision.ts";
