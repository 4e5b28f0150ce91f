/**
 * Sources take by bytes: of many long messages that a broker has, no more are in the process than its budget has room for, and all come in
 * the end.
 */
import assert from "node:assert/strict";
import { gatewayMemory } from "../../gateway/memory/budget.ts";
import type { Source, SourceDefinition } from "../../gateway/contract/source.ts";
import { configured, eventually, testContext } from "./rig.ts";

const mib = 2 ** 20;
export const messages = 40;
const bodyBytes = 2 * mib;
export const longBody = (n: number): Buffer => Buffer.alloc(bodyBytes, n);

/** Starts the source before a queue of long messages; `extra`: how many a broker may send before anything is known of their length. */
export async function takesByBytes<C>(definition: SourceDefinition<C>, raw: object, extra: number): Promise<void> {
  const memory = gatewayMemory(32 * mib);
  const context = { ...testContext(1_000), memory };
  let mostBytes = 0;
  let mostAtOnce = 0;
  let atOnce = 0;
  const seen = new Set<number>();
  const source: Source = definition.create(configured<C>(definition, raw), context);
  await source.start(async (incoming) => {
    memory.messages.force(incoming.body.length); // as the flow's queue does
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    mostBytes = Math.max(mostBytes, memory.intake.takenBytes);
    await new Promise((resolve) => setTimeout(resolve, 5));
    memory.messages.give(incoming.body.length);
    atOnce -= 1;
    seen.add(incoming.body[0] as number);
    return { status: "done", id: incoming.id ?? "made", reply: undefined };
  });
  await eventually("all came", () => seen.size === messages, 40_000);
  await source.stop();
  assert.ok(mostBytes <= memory.intake.mostBytes + extra * bodyBytes, `${mostBytes} of ${memory.intake.mostBytes} bytes at once`);
  assert.ok(mostAtOnce < messages / 2, `${mostAtOnce} messages at once`);
  assert.equal(memory.all.takenBytes, 0);
}
