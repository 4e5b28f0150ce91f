import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { type Downstream, downstream, eventually, type ServedExample, serveExample } from "./testing.ts";

const folder = join(packageRoot, "examples/subscription");

let peer: Downstream;
let example: ServedExample;
before(async () => {
  peer = await downstream();
  example = await serveExample("subscription", { BILLING_URL: `${peer.url}/billing`, MAIL_URL: `${peer.url}/mail` });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

test("the flow tests pass, and explored it breaks no rule", async () => {
  const { code, out } = await capture(["test", folder]);
  equal(code, 0, out);
  const explored = await capture(["explore", join(folder, "flows/subscription.ts")]);
  equal(explored.code, 0, explored.out);
  match(explored.out, /all within the bounds/);
});

interface Listed {
  readonly sleepers: readonly { readonly id: string; readonly waits: readonly { readonly name: string; readonly key: string }[] }[];
}

async function sleepers(): Promise<Listed["sleepers"]> {
  const { code, out, err } = await capture(["sleepers", "ls", "-c", join(example.folder, "mayfly.yaml"), "--json"]);
  equal(code, 0, err);
  return (JSON.parse(out) as Listed).sleepers;
}

test("served: a month that is over is followed by the next, in a machine of its own; a cancellation ends it", async () => {
  equal((await fetch(`${example.url}/subscriptions`, { method: "POST", body: '{"customer":"ada","cents":900}' })).status, 202);
  deepEqual(await peer.until("/billing", 1), [{ customer: "ada", cents: 900, month: 1 }]);
  const [first] = await eventually("a sleeper", async () => ((await sleepers()).length === 1 ? await sleepers() : undefined));
  deepEqual(
    first?.waits.map(({ name, key }) => [name, key]),
    [["cancelled", "ada"]],
  );
  const woken = await capture(["sleepers", "wake", first?.id ?? "", "-c", join(example.folder, "mayfly.yaml")]);
  equal(woken.code, 0, woken.err);
  deepEqual((await peer.until("/billing", 2))[1], { customer: "ada", cents: 900, month: 2 });
  equal((await fetch(`${example.url}/cancellations/ada`, { method: "POST" })).status, 202);
  deepEqual(await peer.until("/mail", 1), [{ customer: "ada", text: "good bye", months: 2 }]);
  ok(await eventually("nobody sleeps", async () => ((await sleepers()).length === 0 ? true : undefined)));
});
