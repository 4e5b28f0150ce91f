/** A gateway that starts: what it refuses, and what it does not wait for. */
import { equal, rejects } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { connectors } from "#connectors";
import { DeadLetters } from "./journal/dead-letters.ts";
import { done } from "./testing/scripted.ts";
import { withGateway } from "./testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: "/items/:id", method: GET } } ] } }`;

test("the port in use and a missing outlet are coded errors, and everything is closed again", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, config }) => {
    const { port } = new URL(url);
    const inUse = { ...config(echo), http: { ...config(echo).http, port: Number(port) } };
    await rejects(
      withGateway(echo, {}, async () => undefined, { ports: { loadFlow: async () => Promise.reject(new Error("no")) } }),
      /no/,
    );
    const { createGateway } = await import("./gateway.ts");
    const { MemoryJournal } = await import("./journal/memory.ts");
    const { silentLogger } = await import("./logger.ts");
    const { ScriptedRunner } = await import("./testing/scripted.ts");
    const { defaultFlowLimits } = await import("#abi");
    const deadLetters = new DeadLetters("/nonexistent");
    const make = (outlets: readonly string[] | undefined): Promise<void> =>
      createGateway(inUse, {
        runner: new ScriptedRunner({}),
        connectors,
        deadLetters,
        journal: new MemoryJournal(deadLetters),
        logger: silentLogger,
        loadFlow: async (name) => ({ image: { name, sha256: "" }, outlets, limits: defaultFlowLimits }),
      }).start();
    await rejects(make(undefined), { code: "MF_PORT_IN_USE" });
    await rejects(make(["erp"]), { code: "MF_OUTLET_MISSING" });
    equal((await fetch(`${url}/echo`, { method: "POST" })).status, 200);
  });
});

test("a peer that is slow to answer keeps only the flow from starting that needs it", { timeout: 10_000 }, async () => {
  const yaml = `flows:
  slow: { image: echo.mfi, from: [ { direct: {} } ], to: { peer: { log: {} } } }
  quick: { image: echo.mfi, from: [ { cron: { every: 1h } } ] }`;
  let started = (): void => undefined;
  const quick = new Promise<void>((resolve) => (started = resolve));
  const health = (): { ready: boolean; detail: string } => ({ ready: true, detail: "" });
  const stop = async (): Promise<void> => undefined;
  // The slow one's peer answers only once the quick one takes messages.
  const slow = { start: () => quick, send: async () => undefined, health, stop };
  const mixed = {
    outlets: connectors.outlets.map((each) => (each.name === "log" ? { ...each, create: () => slow } : each)),
    sources: connectors.sources.map((each) =>
      each.name === "cron" ? { ...each, create: () => ({ start: async () => started(), health, stop }) } : each,
    ),
  };
  await withGateway(yaml, { echo: () => [done()] }, async ({ gateway }) => equal(gateway.ready().ready, true), {
    ports: { connectors: mixed },
  });
});

test("a folder of dead letters that is a file is told at the start, not with the first letter", async () => {
  const before = (dir: string): Promise<void> => writeFile(join(dir, "dead"), "x");
  await rejects(
    withGateway("flows: {}", {}, () => Promise.resolve(), { before }),
    { code: "MF_DEAD_LETTER_DIR", message: /dead is a file: name a folder/ },
  );
});
