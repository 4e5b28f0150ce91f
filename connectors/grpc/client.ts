/** The optional packages of gRPC, TLS of both sides, and errors in our words. */
import { createRequire } from "node:module";
import type * as Grpc from "@grpc/grpc-js";
import type * as Protobuf from "protobufjs";
import { CodedError, isCoded } from "#base";
import { codeOf, explainNetwork } from "../shared/explain.ts";

export type GrpcLibrary = typeof Grpc;
export type ProtobufLibrary = typeof Protobuf;

function missing(cause: unknown): unknown {
  const code = codeOf(cause);
  if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") return cause;
  const text = "gRPC is not installed: run `npm install @grpc/grpc-js@1 protobufjs@7` beside mayfly";
  return new CodedError("MF_GRPC_CLIENT", text, { cause });
}

/** Throws MF_GRPC_CLIENT when the package is not installed. */
export async function loadGrpc(load: () => Promise<GrpcLibrary> = () => import("@grpc/grpc-js")): Promise<GrpcLibrary> {
  try {
    const library = await load();
    library.setLogVerbosity(library.logVerbosity.NONE); // it would write to stderr, past the operator's log
    return library;
  } catch (cause) {
    throw missing(cause);
  }
}

/** At once: contracts are read together with mayfly.yaml. Throws MF_GRPC_CLIENT. */
export function loadProtobuf(load: (name: string) => unknown = createRequire(import.meta.url)): ProtobufLibrary {
  try {
    return load("protobufjs") as ProtobufLibrary;
  } catch (cause) {
    throw missing(cause);
  }
}

export function explainGrpc(peer: string, error: unknown): CodedError {
  return isCoded(error) ? error : explainNetwork("GRPC", peer, error);
}
