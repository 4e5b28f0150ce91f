/** The connectors a gateway is made with. */
import type { GatewayConfig } from "./config.ts";
import type { JsonSchema } from "./connector.ts";
import type { OutletDefinition } from "./outlet.ts";
import type { SourceDefinition } from "./source.ts";

/** One kind of system: messages from it, to it, or both. */
export interface Connector {
  readonly source?: SourceDefinition;
  readonly outlet?: OutletDefinition;
}

/** In the order of the documentation; names are unique among sources and among outlets. */
export interface Connectors {
  readonly sources: readonly SourceDefinition[];
  readonly outlets: readonly OutletDefinition[];
  /** The OpenAPI document of the contracts that a configuration serves; undefined if there are none. Absent: contracts are not shown. */
  readonly describe?: (config: Pick<GatewayConfig, "flows">) => JsonSchema | undefined;
}
