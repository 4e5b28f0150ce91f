/** A node of a cluster, as the command opens it. */
export { openCluster, type OpenClusterOptions, type OpenedCluster } from "./open.ts";
