/** A disk that refuses dead letters. */
import { equal, match } from "node:assert/strict";
import * as nodeFs from "node:fs/promises";
import { test } from "node:test";
import { type DeadLetterFs } from "../journal/dead-letters.ts";
import { done, fail } from "../testing/scripted.ts";
import { until, withGateway } from "../testing/rig.ts";

test("a full disk under the dead letters holds up the message concerned and no other, shows in /ready, and is got over", async () => {
  const yaml = `flows: { job: { image: job.mfi, retry: { attempts: 1 }, from: [ { http: { path: /jobs, mode: accept } }, { http: { path: /ask } } ] }, echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: /later, mode: accept } } ] } }`;
  let full = true;
  const open: DeadLetterFs["open"] = async (path, flags) => {
    if (full && flags !== "r") throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    return nodeFs.open(path, flags);
  };
  const fs = { ...nodeFs, open } as unknown as DeadLetterFs;
  await withGateway(
    yaml,
    { job: () => [fail("NO")], echo: () => [done("ok")] },
    async ({ url, admin, deadLetters, journal }) => {
      equal((await fetch(`${url}/jobs`, { method: "POST", body: "kept" })).status, 202);
      const ready = await until(async () => {
        const response = await admin("/ready");
        return response.status === 503 && (await response.text());
      });
      match(ready, /dead letter .* no space left/);
      equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
      equal((await fetch(`${url}/later`, { method: "POST" })).status, 202);
      equal((await fetch(`${url}/ask`, { method: "POST" })).status, 500); // told at once, though no letter could be kept
      equal(journal.stats().pending >= 1, true);
      full = false;
      await until(async () => (await deadLetters.count("job")) === 1);
      await until(async () => (await fetch(`${url}/ready`)).status === 200);
      equal(journal.stats().pending, 0);
    },
    { fs },
  );
});
