/** The endpoints of `mayfly cluster`: any node shows the whole, and hands on what is for another. */
import type { ClusterDesk } from "../contract/cluster.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import { type Access, guard } from "./guard.ts";

export function addCluster(routes: HttpRoutes, memory: GatewayMemory, desk: ClusterDesk, access: Access): void {
  routes.add(
    "GET",
    "/api/cluster",
    guard(access, memory, {}, async () => ({ status: 200, value: await desk.status() })),
  );
  routes.add(
    "POST",
    "/api/cluster/reload",
    guard(access, memory, {}, async () => ({ status: 200, value: await desk.reload() })),
  );
  routes.add(
    "POST",
    "/api/cluster/nodes/:node/drain",
    guard(access, memory, {}, async (_request, { node = "" }) => {
      await desk.drain(node);
      return { status: 200, value: { node, state: "draining" } };
    }),
  );
}
