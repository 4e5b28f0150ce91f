/**
 * A message whose acknowledgement ends the connection twice becomes a dead letter, and those behind it go on: a gateway, a real broker, and a
 * proxy between them that ends the connection over the acknowledgement of the first message.
 */
import assert from "node:assert/strict";
import { listLetters } from "../../gateway/journal/dead-letter-operations.ts";
import { withGateway } from "../../gateway/testing/rig.ts";
import { done, text } from "../../gateway/testing/scripted.ts";
import type { BrokerAddress } from "./brokers.ts";
import { Proxy } from "./proxy.ts";
import { eventually } from "./rig.ts";

export interface SetAsideCase {
  /** The source's entry, over the proxy. */
  readonly from: (port: number) => string;
  /** True for an acknowledgement of the first message. */
  readonly deadly: (bytes: Buffer) => boolean;
  readonly publish: (texts: readonly string[]) => Promise<void>;
  /** Messages the broker still has. */
  readonly left: () => Promise<number>;
  /** Further checks in the end, while the gateway runs. */
  readonly check?: () => Promise<void>;
}

/** `proxyPort`: as in `ConnectorCase`. */
export async function setsAside(
  broker: BrokerAddress,
  { from, deadly, publish, left, check }: SetAsideCase,
  proxyPort?: number,
): Promise<void> {
  const proxy = await Proxy.open(broker, proxyPort);
  try {
    await withGateway(
      `flows: { taker: { image: taker.mfi, dedup: { window: 1h }, from: [ { ${from(proxy.port)} } ] } }`,
      { taker: () => [done()] },
      async ({ runner, deadLetters, logs, gateway }) => {
        const ready = (): Promise<void> => eventually("ready", () => gateway.ready().ready);
        const runs = (body: string): number => runner.delivered.filter((event) => text(event.body) === body).length;
        await ready();
        proxy.deadly = deadly;
        await publish(["poison"]);
        await eventually("a letter", async () => (await deadLetters.count("taker")) === 1);
        await ready();
        await publish(["a", "b", "c"]);
        await eventually("those behind it came", () => ["a", "b", "c"].every((body) => runs(body) > 0));
        await eventually("and are acknowledged", async () => (await left()) === 1);
        const killed = proxy.killed;
        assert.equal(killed, 2);
        assert.ok(runs("poison") <= 2, `${runs("poison")} runs`);
        const runsBefore = runs("poison");
        proxy.cut(); // it comes again with the next connection
        await eventually("lost", () => logs.some((line) => line.text === "connected again"));
        await ready();
        await publish(["d"]);
        await eventually("later ones come", () => runs("d") > 0);
        await eventually("and are acknowledged", async () => (await left()) === 1);
        const told: (string | undefined)[] = [];
        for await (const { id, failure } of listLetters(deadLetters))
          told.push(failure.code, Buffer.from((await deadLetters.read(id))?.body ?? []).toString());
        assert.deepEqual([told, proxy.killed], [["MF_MESSAGE_SET_ASIDE", "poison"], 2]);
        assert.equal(runs("poison"), runsBefore);
        await check?.();
      },
      { drain: "4s" },
    );
  } finally {
    await proxy.close();
  }
}
