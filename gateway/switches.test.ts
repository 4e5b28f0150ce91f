import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base";
import { ManualClock } from "./testing/manual-clock.ts";
import { silentLogger } from "./logger.ts";
import { Switches } from "./switches.ts";

/** A memory that outlives the switches. */
function recall() {
  const facts = new Map<string, string>();
  return {
    facts,
    read: async (name: string) => facts.get(name),
    write: async (name: string, fact: string) => void facts.set(name, fact),
  };
}

test("what an operator stopped is read back", async () => {
  const kept = recall();
  const first = new Switches({ recall: kept, logger: silentLogger, clock: systemClock });
  first.state = "draining";
  first.outlets.add("erp");
  equal(await first.write(), true);
  const second = new Switches({ recall: kept, logger: silentLogger, clock: systemClock });
  await second.read();
  equal(second.state, "draining");
  deepEqual([...second.outlets], ["erp"]);
});

test("a damaged fact, or one of a later version, stops nothing", async () => {
  for (const text of ["", "{", "null", "[]", '{"flow":"frozen","outlets":[1,"erp"]}', '{"outlets":"erp"}']) {
    const kept = recall();
    kept.facts.set("operator", text);
    const switches = new Switches({ recall: kept, logger: silentLogger, clock: systemClock });
    await switches.read();
    equal(switches.state, "running", text);
    deepEqual([...switches.outlets], text.includes("frozen") ? ["erp"] : [], text);
  }
});

test("a disk that refuses does not keep the operator waiting; the newest state is the one that is kept", async () => {
  const clock = new ManualClock();
  const written: string[] = [];
  let free: () => void = () => undefined;
  const refusing = {
    read: async () => undefined,
    write: (_name: string, fact: string) => new Promise<void>((done) => (free = () => (written.push(fact), done()))),
  };
  const switches = new Switches({ recall: refusing, logger: silentLogger, clock });
  switches.state = "paused";
  const first = switches.write();
  await Promise.resolve();
  clock.advance(10_000);
  equal(await first, false);
  switches.state = "running";
  const second = switches.write();
  free();
  for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  free();
  equal(await second, true);
  deepEqual(
    written.map((text) => (JSON.parse(text) as { flow: string }).flow),
    ["paused", "running"],
  );
});

test("a write that fails says so, and the next one is kept all the same", async () => {
  const kept = recall();
  let fails = true;
  const write = async (name: string, fact: string): Promise<void> => {
    if (fails) throw new Error("no journal");
    await kept.write(name, fact);
  };
  const switches = new Switches({ recall: { read: kept.read, write }, logger: silentLogger, clock: systemClock });
  switches.state = "paused";
  equal(await switches.write(), false);
  fails = false;
  equal(await switches.write(), true);
  equal(kept.facts.has("operator"), true);
});
