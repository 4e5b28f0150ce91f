/** Machines with long messages that are woken all at once wake as memory has room: the gateway stands, and another flow is answered meanwhile. */
import { equal, ok } from "node:assert/strict";
import { after, test } from "node:test";
import { Container, neighbourFlow } from "./container.ts";

const mb = 1_000_000;
const mib = 2 ** 20;
const machines = 40;

const files = {
  "neighbour.ts": neighbourFlow,
  "dreaming.ts": `import { flow } from "mayfly";
export default flow({ limits: { memory: "64MiB", cpu: "5s" } }, async (msg, { wait }) => {
  await wait("go", { key: msg.params["n"] as string, timeout: "5m" });
});`,
  "mayfly.yaml": `flows:
  neighbour: { flow: neighbour.ts, from: [ { http: { path: /neighbour } } ] }
  dreaming:
    flow: dreaming.ts
    concurrency: 100
    from: [ { http: { path: "/dreaming/:n", mode: accept } } ]
    signals: { go: { from: [ { http: { path: "/go/:n" } } ], key: "path:n" } }
`,
};

const container = await Container.start(400 * mb, files);
after(async () => {
  if (typeof container !== "string") await container.remove();
});

test(`${machines} machines with bodies of 7 MiB that are woken at once`, {
  skip: typeof container === "string" && container,
}, async (t) => {
  if (typeof container === "string") return;
  const url = await container.url();
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) {
      ok(container.alive, container.output.slice(-2000));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  // A gateway that has no room answers 503 and closes before it has read the body: the next try may be taken.
  const isTaken = (path: string, body: Buffer): Promise<boolean> =>
    fetch(`${url}${path}`, { method: "POST", body }).then(
      (response) => response.status === 202,
      () => false,
    );
  const sleeping = async (): Promise<number> =>
    Number(/^mayfly_sleepers\{flow="dreaming"\} (\d+)$/m.exec(await container.metrics())?.[1] ?? 0);

  const body = Buffer.alloc(7 * mib, "x");
  for (let n = 0; n < machines; n += 1) await until(() => isTaken(`/dreaming/${n}`, body));
  await until(async () => (await sleeping()) === machines);
  await Promise.all(Array.from({ length: machines }, (_, n) => until(() => isTaken(`/go/${n}`, Buffer.from("x")))));
  await container.neighbourAnswers(6);
  await until(async () => (await sleeping()) === 0);
  await container.neighbourAnswers(2);
  ok(container.alive, container.output.slice(-2000));
  equal(await container.takenBytes(), 0);
  t.diagnostic(`peak ${Math.round(container.peakBytes() / mb)} MB`);
});
