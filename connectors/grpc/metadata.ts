/** Metadata of calls as headers, and headers as metadata. Values of names that end in `-bin` are bytes, in base64 as headers. */
import type { Metadata } from "@grpc/grpc-js";
import { headerList, type Headers, type HeadersDraft } from "#abi";
import { OutletError } from "#gateway/contract";
import { quoteLimits } from "../shared/limits.ts";
import type { GrpcLibrary } from "./client.ts";

/** Names of the protocol itself (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), and what is made anew. */
const reserved = /^(?:grpc-.*|:.*|te|content-type|content-length|host|connection|mayfly-.*|__proto__)$/;

const legalName = /^[0-9a-z_.-]+$/;
const legalValue = /^[ -~]*$/;

/** Names and values of the metadata. */
export function entriesOf(metadata: Metadata): (readonly [string, string | readonly string[]])[] {
  const names = Object.keys(metadata.getMap());
  return names
    .filter((name) => !reserved.test(name))
    .map((name) => {
      const values = metadata.get(name).map((each) => (typeof each === "string" ? each : each.toString("base64")));
      const [only = ""] = values;
      return [name, values.length === 1 ? only : values] as const;
    });
}

/** Adds a header's values. False: metadata can't carry it. */
function added(metadata: Metadata, name: string, values: readonly string[]): boolean {
  if (!legalName.test(name)) return false;
  for (const each of values) {
    if (name.endsWith("-bin")) metadata.add(name, Buffer.from(each, "base64"));
    else if (legalValue.test(each)) metadata.add(name, each);
    else return false;
  }
  return true;
}

/** Headers of a reply, and the gateway's own; those that metadata can't carry are left out, and the first of them is named. */
export function replyMetadata(
  { Metadata: Made }: GrpcLibrary,
  headers: Headers,
  own: Readonly<Record<string, string>>,
): { readonly metadata: Metadata; readonly dropped: string | undefined } {
  const metadata = new Made();
  let dropped: string | undefined;
  for (const [name, value] of Object.entries(headers))
    if (!reserved.test(name) && !added(metadata, name, headerList(value))) dropped ??= name;
  for (const [name, value] of Object.entries(own)) metadata.set(name, value.replace(/[^ -~]/g, "?"));
  return { metadata, dropped };
}

/** Headers of what is sent. Throws MF_HEADER_INVALID. */
export function sentMetadata({ Metadata: Made }: GrpcLibrary, headers: HeadersDraft): Metadata {
  const metadata = new Made();
  for (const [name, value] of Object.entries(headers))
    if (!reserved.test(name) && !added(metadata, name, headerList(value)))
      throw new OutletError(
        "MF_HEADER_INVALID",
        `gRPC can't carry the header ${JSON.stringify(name.slice(0, quoteLimits.name))}: encode its value, or leave it out`,
        { retryable: false },
      );
  return metadata;
}
