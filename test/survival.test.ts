/**
 * What a request leaves behind in the main thread. Objects that outlive two collections of the young generation go to the old one, where they
 * lie until all of it is collected: they are what makes collections long. A request that is answered has no such objects of its own.
 */
import { ok } from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Agent } from "undici";
import { ServedProcess } from "./served-process.ts";

const requests = 16_000;
const callers = 16;
/** Of the main thread, for one request. Some 10 are left; one object of each request in the old generation, with what it refers to, makes it 350. */
const mostBytes = 200;

const flowText = `import { flow } from "mayfly";
export default flow((msg) => ({ sum: msg.json().lines.reduce((sum, line) => sum + line, 0) }));`;
const configuration = `history: { enabled: false }
flows:
  sum:
    flow: sum.js
    from: [{ http: { method: POST, path: /sum } }]
`;
const order = JSON.stringify({ lines: Array.from({ length: 100 }, (_, index) => index) });
const tracing = `data:text/javascript,${encodeURIComponent('import v8 from "node:v8"; v8.setFlagsFromString("--trace-gc"); v8.setFlagsFromString("--trace-gc-nvp")')}`;

async function post(url: string, count: number): Promise<void> {
  const agent = new Agent({ connections: callers, pipelining: 1 });
  let left = count;
  const call = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await agent.request({
        origin: url,
        path: "/sum",
        method: "POST",
        headers: { "content-type": "application/json" },
        body: order,
      });
      await answer.body.dump();
      ok(answer.statusCode === 200);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  await agent.destroy();
}

/** Bytes that moved to the old generation, of the thread that allocated most; undefined where V8 tells none. */
function promotedBytes(log: string): number | undefined {
  const threads = new Map<string, { allocated: number; promoted: number }>();
  for (const [, thread = "", fields = ""] of log.matchAll(/\[\d+:(0x[0-9a-f]+)\]([^[\n]*\bgc=s\b[^\n]*)/g)) {
    const field = (name: string): number => Number(new RegExp(`\\b${name}=(\\d+)`).exec(fields)?.[1]);
    const sums = threads.get(thread) ?? { allocated: 0, promoted: 0 };
    sums.allocated += field("allocated");
    sums.promoted += field("promoted");
    threads.set(thread, sums);
  }
  const [most] = [...threads.values()].sort((a, b) => b.allocated - a.allocated);
  return most === undefined || Number.isNaN(most.promoted) ? undefined : most.promoted;
}

test("an answered request leaves nothing of its own in the old generation", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "mayfly-survival-"));
  writeFileSync(join(folder, "sum.js"), flowText);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "mayfly.yaml"), configuration);
  const served = new ServedProcess(folder, { NODE_OPTIONS: `--import=${tracing}` });
  try {
    const url = await served.url();
    await post(url, requests / 2); // code is compiled, and what lasts for ever is made
    const from = served.said.length;
    await post(url, requests);
    await served.kill("SIGTERM");
    const promoted = promotedBytes(served.said.slice(from));
    if (promoted === undefined) return t.skip("this version of V8 does not say what its collections keep");
    const bytes = promoted / requests;
    t.diagnostic(`${bytes.toFixed(0)} bytes of a request outlive two collections`);
    ok(bytes < mostBytes, `${bytes.toFixed(0)} bytes of each request went to the old generation`);
  } finally {
    await served.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});
