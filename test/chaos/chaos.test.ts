/** A short run of `npm run chaos` over everything this machine has: whatever harm is done, the numbers come out. */
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { runChaos } from "./campaign.ts";
import { defaults, transportNames } from "./options.ts";
import { reportText } from "./report.ts";

const seed = Number(process.env["MAYFLY_SEED"] ?? Date.now() % 1_000_000);

test("nothing is lost, doubled or out of order while everything is killed, cut and filled", { timeout: 240_000 }, async (context) => {
  // Servers in Java take a good part of half a minute to start again.
  const only = transportNames.filter((name) => name !== "kafka" && name !== "amqp1");
  const options = { ...defaults, only, seed, kills: 5, messages: 1_200, minutes: 0.5, keys: 4 };
  const lines: string[] = [];
  const report = await runChaos(options, (line) => void lines.push(line));
  for (const reason of report.skipped) context.diagnostic(`skipped: ${reason}`);
  for (const line of reportText(report).split("\n")) context.diagnostic(line);
  equal(report.broken, false, `${reportText(report)}\n${lines.join("\n")}`);
  ok(report.verdict.received > 0 && report.kills > 0);
});
