import { equal, match } from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { packageRoot } from "#cli";

test("npm start shows three curl lines and what became of each, and with --once ends by itself", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(packageRoot, "scripts", "start.mjs"), "--once"], {
    cwd: packageRoot,
  });
  equal(stdout.match(/^ {2}curl -s http:\/\/127\.0\.0\.1:\d+\/orders /gm)?.length, 3);
  match(stdout, /reply +200 \{"status":"accepted","erp":\{"orderNumber":"A-1007"\}\}/);
  match(stdout, /log +info order received \{"id":8,"total":1280\}/);
  match(stdout, /→ bigOrders +\{"id":8,/);
  match(stdout, /→ audit +\{"sku":"PEN-1"/);
  match(stdout, /reply +400 .*MF_MESSAGE_INVALID/);
});
