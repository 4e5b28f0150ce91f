/** All flows of a mayfly.yaml in one Linux executable, built as a user builds it. */
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, type Captured } from "#cli";
import { freePort } from "../../base/testing/free-port.ts";
import { linuxMissing, LinuxService } from "./linux-service.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-several-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("all flows of a mayfly.yaml are one executable: each has its own routes, values and limits, and sees nothing of another's messages", {
  skip: linuxMissing() ?? false,
}, async () => {
  const project = join(folder, "several");
  await mkdir(join(project, "flows"), { recursive: true });
  await writeFile(join(project, "package.json"), '{ "version": "1.2.3" }');
  // The sample that warms one flow is counted there, and in no other.
  const handler =
    "let seen = 0;\nexport default flow(({ id, query }, { values }) => { if (query.spin) for (;;); return [id, ++seen, values]; });\n";
  await writeFile(join(project, "flows/orders.ts"), `import { flow } from "mayfly";\n${handler}`);
  await writeFile(
    join(project, "flows/stock.ts"),
    `import { flow } from "mayfly";\n${handler.replace("flow(", 'flow({ limits: { cpu: "90ms" }, warm: ({ handle }) => handle({ body: "x" }) }, ')}`,
  );
  const flowOf = (name: string, rest = ""): string =>
    `  ${name}: { flow: flows/${name}.ts, from: [{ http: { path: /${name} } }]${rest} }\n`;
  await writeFile(join(project, "mayfly.yaml"), `flows:\n${flowOf("orders", ', values: { region: "${REGION}" }')}${flowOf("stock")}`);
  const output = join(project, "app");
  const build = (...values: string[]): Promise<Captured> =>
    capture(["build", "--config", join(project, "mayfly.yaml"), "--target", "linux", "--serve", "-o", output, ...values]);
  const built = await build("--json");
  equal(built.code, 0, built.err);
  const first = await readFile(output);
  await build("--no-check");
  deepEqual(await readFile(output), first, "the same inputs give the same bytes");
  match(
    (await capture(["inspect", output])).out,
    /^several 1\.2\.3[\s\S]*^orders$[\s\S]*\/orders[\s\S]*^stock$[\s\S]*cpu 90 ms[\s\S]*\/stock/m,
  );
  const port = await freePort();
  const service = new LinuxService(output, ["-p", String(port)], port, { REGION: "eu" });
  await service.serving();
  const ask = async (path: string): Promise<unknown> => {
    const answer = await service.ask(path, { method: "POST", headers: { "idempotency-key": "i", "mayfly-flow": "orders" } });
    return await answer.json();
  };
  for (let round = 0; round < 2; round++) {
    deepEqual(await ask("/orders"), ["i", 1, { region: "eu" }]);
    deepEqual(await ask("/stock"), ["i", 2, {}]);
  }
  match(JSON.stringify(await ask("/stock?spin=1")), /MF_CPU_LIMIT.*/);
  match(await (await service.ask("/metrics")).text(), /received_total\{flow="orders"\} 2\n.*received_total\{flow="stock"\} 3\n/);
  equal((await service.stop()).code, 0);
});
