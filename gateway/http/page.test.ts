/** The page's files as they are served: only those of its folder, only on the TCP listener. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { gatewayLimits } from "../contract/limits.ts";
import { done } from "../testing/scripted.ts";
import { withGateway } from "../testing/rig.ts";
import { addPage } from "./page.ts";
import { Router } from "./router.ts";

const yaml = `http: { port: 0, admin: { port: 0, token: secret } }
flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } } ] } }`;

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-page-"));
  mkdirSync(join(folder, "assets"));
  writeFileSync(join(folder, "index.html.gz"), gzipSync("<!doctype html>"));
  writeFileSync(join(folder, "assets", "index-1.js.gz"), gzipSync("export {};"));
  writeFileSync(join(folder, "assets", "secret.txt"), "not compressed: not the page's");
  await run(folder).finally(() => rm(folder, { recursive: true, force: true }));
}

test("the admin port serves the page, the public port and the socket do not; a file beside it is out of reach", async () => {
  await withFolder((dashboard) =>
    withGateway(
      yaml,
      { echo: () => [done("ok")] },
      async ({ gateway, url, admin }) => {
        const at = `http://127.0.0.1:${gateway.admin.address?.port}`;
        equal(gateway.admin.page, true);
        equal(await (await fetch(`${at}/`)).text(), "<!doctype html>");
        const script = await fetch(`${at}/assets/index-1.js`);
        deepEqual([script.headers.get("content-type"), await script.text()], ["text/javascript; charset=utf-8", "export {};"]);
        equal((await fetch(`${at}/`, { method: "HEAD" })).status, 200);
        equal((await fetch(`${at}/`, { method: "POST" })).status, 405);
        for (const path of ["/assets/secret.txt", "/assets/", "/index.html.gz", "/assets/..%2findex.html", "/assets/%2e%2e/index.html.gz"])
          equal((await fetch(`${at}${path}`)).status, 404, path);
        equal((await fetch(`${url}/`)).status, 404);
        equal((await admin("/")).status, 404);
      },
      { ports: { dashboard } },
    ),
  );
});

test("a gateway without the page's folder serves all the same; a folder that is too large is refused", async () => {
  await withGateway(
    yaml,
    { echo: () => [done("ok")] },
    async ({ gateway }) => {
      equal(gateway.admin.page, false);
      equal((await fetch(`http://127.0.0.1:${gateway.admin.address?.port}/`)).status, 404);
    },
    { ports: { dashboard: join(tmpdir(), "mayfly-no-such-page") } },
  );
  await withFolder(async (folder) => {
    writeFileSync(join(folder, "assets", "big.js.gz"), Buffer.alloc(gatewayLimits.pageBytes));
    throws(() => addPage(new Router(), folder), /MF_PAGE_LIMIT|build it again/);
  });
});
