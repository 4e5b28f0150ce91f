/**
 * Objects that a request leaves behind in the main thread. Those that outlive two collections of the young generation go to the old one, where they
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

const flows = `history: { enabled: false }
journal: { dir: journal }
flows:
  sum:
    flow: sum.js
    from: [{ http: { method: POST, path: /sum } }]
  forward:
    flow: forward.js
    from: [{ http: { method: POST, path: /forward, mode: accept } }]
    to: { audit: { log: { level: debug } } }
`;
const sources = {
  "sum.js": `import { flow } from "mayfly";
export default flow((msg) => ({ sum: msg.json().lines.reduce((sum, line) => sum + line, 0) }));`,
  "forward.js": `import { flow } from "mayfly";
export default flow((msg, { to }) => { to.audit.send(msg.json()); });`,
  "package.json": '{"type":"module"}',
  "mayfly.yaml": flows,
};
const order = JSON.stringify({ lines: Array.from({ length: 100 }, (_, index) => index) });
const tracing = `data:text/javascript,${encodeURIComponent('import v8 from "node:v8"; v8.setFlagsFromString("--trace-gc"); v8.setFlagsFromString("--trace-gc-nvp")')}`;

async function post(url: string, path: string, count: number): Promise<void> {
  const agent = new Agent({ connections: callers, pipelining: 1 });
  let left = count;
  const call = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await agent.request({
        origin: url,
        path,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: order,
      });
      await answer.body.dump();
      if (answer.statusCode >= 300 && answer.statusCode !== 503) throw new Error(`the answer was ${answer.statusCode}`);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  await agent.destroy();
}

/** Bytes that moved to the old generation, of the thread that allocated most; undefined where V8 tells none. */
function promotedBytes(log: string): number | undefined {
  const threads = new Map<string, { allocated: number; promoted: number }>();
  for (const [, thread = "", fields = ""] of log.matchAll(/\[\d+:(0x[0-9a-f]+)[:\d]*\]([^[\n]*\bgc=s\b[^\n]*)/g)) {
    const field = (name: string): number => Number(new RegExp(`\\b${name}=(\\d+)`).exec(fields)?.[1]);
    const sums = threads.get(thread) ?? { allocated: 0, promoted: 0 };
    sums.allocated += field("allocated");
    sums.promoted += field("promoted");
    threads.set(thread, sums);
  }
  const [most] = [...threads.values()].sort((a, b) => b.allocated - a.allocated);
  return most === undefined || Number.isNaN(most.promoted) ? undefined : most.promoted;
}

/** Some 10 bytes are left of a request that is answered; one object of each in the old generation makes it 100, with all that it refers to 350. Of a message on disk 200 to 300 are, and were 1,100. */
const paths = [
  { what: "an answered request", path: "/sum", mostBytes: 60 },
  { what: "a message on disk", path: "/forward", mostBytes: 600 },
];

for (const { what, path, mostBytes } of paths)
  test(`${what} leaves nothing of its own in the old generation`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "mayfly-survival-"));
    for (const [name, text] of Object.entries(sources)) writeFileSync(join(folder, name), text);
    const served = new ServedProcess(folder, { NODE_OPTIONS: `--import=${tracing}` });
    try {
      const url = await served.url();
      await post(url, path, requests / 2); // code is compiled, and what lasts for ever is made
      const from = served.said.length;
      await post(url, path, requests);
      await served.kill("SIGTERM");
      const promoted = promotedBytes(served.said.slice(from));
      if (promoted === undefined) return t.skip("this version of V8 does not say what its collections keep");
      const bytes = promoted / requests;
      t.diagnostic(`${bytes.toFixed(0)} bytes of it outlive two collections`);
      ok(bytes < mostBytes, `${bytes.toFixed(0)} bytes of each went to the old generation`);
    } finally {
      await served.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });
