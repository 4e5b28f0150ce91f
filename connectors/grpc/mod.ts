/** Unary gRPC, both ways. */
import type { Connector } from "#gateway/contract";
import { grpcOutlet } from "./outlet.ts";
import { grpcSource } from "./source.ts";

export const grpc: Connector = { source: grpcSource, outlet: grpcOutlet };
