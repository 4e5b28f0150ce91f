/** Contracts: what is read, what is refused, and that nothing outside of the project is. */
import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../gateway/config/read.ts";
import { connectors } from "../mod.ts";
import { contractFolder } from "../testing/grpc-contract.ts";
import { methodsOf, readProto } from "./proto.ts";

const orders = { proto: "orders.proto", service: "shop.Orders" };

test("a contract has its methods, also as plain data, and names the files it was read from", async () => {
  const folder = await contractFolder();
  const { config, files, methods } = readProto(orders, folder);
  assert.deepEqual(
    methods.map(({ path, request, reply }) => [path, request.fullName, reply.fullName]),
    [
      ["/shop.Orders/Create", ".shop.Order", ".shop.Receipt"],
      ["/shop.Orders/Get", ".shop.Order", ".shop.Order"],
      ["/shop.Orders/Delete", ".shop.Order", ".google.protobuf.Empty"],
    ],
  );
  assert.deepEqual(files.map((each) => each.split("/").at(-1)).sort(), ["item.proto", "orders.proto"]);
  const again = methodsOf({ ...(JSON.parse(JSON.stringify(config)) as typeof config), method: "Get" });
  assert.deepEqual(
    again.map(({ name }) => name),
    ["Get"],
  );
});

test("streaming, and names that are not there, are told with the setting", async () => {
  const folder = await contractFolder();
  const wrong: readonly [object, string, string][] = [
    [{ service: "shop.Feed" }, "MF_GRPC_STREAMING", "service"],
    [{ service: "shop.Feed", method: ["Poll", "Watch"] }, "MF_GRPC_STREAMING", "method"],
    [{ service: "Shop.Orders" }, "MF_GRPC_SERVICE", "service"],
    [{ method: "Update" }, "MF_GRPC_METHOD", "method"],
    [{ method: "constructor" }, "MF_GRPC_METHOD", "method"],
    [{ proto: "absent.proto" }, "MF_GRPC_PROTO", "proto"],
  ];
  for (const [change, code, setting] of wrong)
    assert.throws(() => readProto({ ...orders, ...change }, folder), { code, setting }, JSON.stringify(change));
  assert.equal(readProto({ ...orders, service: "shop.Feed", method: "Poll" }, folder).methods.length, 1);
});

test("files outside of the project are not read, whatever leads there", async () => {
  const folder = await contractFolder();
  const project = join(folder, "project");
  await mkdir(project);
  await symlink(join(folder, "orders.proto"), join(project, "linked.proto"));
  await writeFile(join(project, "imports.proto"), 'syntax = "proto3"; import "../orders.proto"; service S {}');
  await writeFile(join(project, "absolute.proto"), `syntax = "proto3"; import "${join(folder, "orders.proto")}"; service S {}`);
  for (const proto of ["../orders.proto", join(folder, "orders.proto"), "linked.proto", "imports.proto", "absolute.proto"])
    assert.throws(
      () => readProto({ ...orders, proto }, project),
      { code: "MF_GRPC_PROTO", message: /outside the folder of mayfly\.yaml/ },
      proto,
    );
});

test("a file that is no protobuf is told with its line, and what it imports in vain by name", async () => {
  const folder = await contractFolder();
  await writeFile(join(folder, "broken.proto"), 'syntax = "proto3";\nmessage {');
  assert.throws(() => readProto({ ...orders, proto: "broken.proto" }, folder), {
    code: "MF_GRPC_PROTO",
    message: /broken\.proto .*line 2/,
  });
  await writeFile(join(folder, "vain.proto"), 'syntax = "proto3"; import "nowhere.proto";');
  assert.throws(() => readProto({ ...orders, proto: "vain.proto" }, folder), {
    code: "MF_GRPC_PROTO",
    message: /nowhere\.proto, which vain\.proto imports/,
  });
  await writeFile(join(folder, "types.proto"), 'syntax = "proto3"; service S { rpc A(Missing) returns (Missing); }');
  assert.throws(() => readProto({ proto: "types.proto", service: "S" }, folder), { code: "MF_GRPC_PROTO", message: /Missing/ });
  for (const [name, other] of [
    ["a", "b"],
    ["b", "a"],
  ])
    await writeFile(join(folder, `${name}.proto`), `syntax = "proto3"; import "${other}.proto"; service S${name} { }`);
  assert.deepEqual(readProto({ proto: "a.proto", service: "Sa" }, folder).methods, []);
});

test("mayfly.yaml is refused at the place, of sources and of outlets", async () => {
  const folder = await contractFolder();
  const read = (from: string, to: string): unknown =>
    readConfig(`flows:\n  one:\n    flow: one.ts\n    from: [{ ${from} }]\n    to: { out: { ${to} } }\n`, join(folder, "mayfly.yaml"), {
      ...connectors,
      environment: {},
    });
  const source = "grpc: { proto: orders.proto, service: shop.Orders, port: 50051 }";
  const outlet = 'grpc: { url: "grpc://127.0.0.1:1", proto: orders.proto, service: shop.Orders, method: Get }';
  read(source, outlet);
  assert.throws(() => read(source.replace("Orders,", "Feed,"), outlet), /MF_GRPC_STREAMING.*|flows\.one\.from/s);
  assert.throws(() => read(source, outlet.replace("Get", "Watch").replace("shop.Orders", "shop.Feed")), /streams, and only unary methods/);
});
