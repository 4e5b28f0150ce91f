/** The contract of the gRPC tests, in a folder of its own, and connectors that read it there. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const ordersProto = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
import "google/protobuf/empty.proto";
import "parts/item.proto";

enum Kind { NONE = 0; NEW = 1; OLD = -2; }

message Order {
  string id = 1;
  int32 quantity = 2;
  int64 total_cents = 3;
  uint64 number = 4;
  bool paid = 5;
  bytes seal = 6;
  Kind kind = 7;
  double weight = 8;
  float share = 9;
  repeated Item items = 10;
  map<string, string> notes = 11;
  map<int64, Item> by_number = 12;
  map<bool, sint32> flags = 13;
  google.protobuf.Timestamp at = 14;
  google.protobuf.Duration lasts = 15;
  google.protobuf.Struct more = 16;
  google.protobuf.Value any_value = 17;
  google.protobuf.Int64Value maybe = 18;
  google.protobuf.Any packed = 19;
  optional string remark = 20;
  oneof who { string person = 21; Item thing = 22; }
  repeated sint64 deltas = 23;
  string named_otherwise = 24 [json_name = "other"];
  Order inner = 25;
  fixed64 fixed = 26;
  repeated Kind kinds = 27;
  google.protobuf.BytesValue maybe_bytes = 28;
}

message Receipt { string id = 1; int32 lines = 2; string text = 3; }

service Orders {
  rpc Create(Order) returns (Receipt);
  rpc Get(Order) returns (Order);
  rpc Delete(Order) returns (google.protobuf.Empty);
}
service Feed {
  rpc Poll(Order) returns (Receipt);
  rpc Watch(Order) returns (stream Receipt);
}
`;

const itemProto = `syntax = "proto3";
package shop;
message Item { string name = 1; uint32 count = 2; }
`;

/** A folder with orders.proto and parts/item.proto, gone after the tests. */
export async function contractFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-grpc-"));
  after(() => rm(folder, { recursive: true }));
  await writeContract(folder);
  return folder;
}

export async function writeContract(folder: string): Promise<void> {
  await writeFile(join(folder, "orders.proto"), ordersProto);
  await mkdir(join(folder, "parts"));
  await writeFile(join(folder, "parts", "item.proto"), itemProto);
}

interface Expandable {
  readonly expand?: (config: never, base: string, shared: Map<string, unknown>) => { readonly config: object };
  readonly create: (config: never, context: never) => unknown;
}

/** The definition with its configurations expanded, as reading mayfly.yaml does. */
export function expandedIn<Definition extends Expandable>(definition: Definition, folder: string): Definition {
  const create = (config: never, context: never): unknown =>
    definition.create((definition.expand?.(config, folder, new Map()).config ?? config) as never, context);
  return { ...definition, create };
}
