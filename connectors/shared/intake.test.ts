import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "#base";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import { Intake, type Delivery } from "./intake.ts";
import { done, refused, testContext } from "../testing/rig.ts";

/** Time stands still until the test moves it. */
class StillClock implements Clock {
  #now = 0;
  #tasks: { atMs: number; task: () => void }[] = [];
  now(): number {
    return this.#now;
  }
  monotonicMs(): number {
    return this.#now;
  }
  after(delayMs: number, task: () => void): () => void {
    const entry = { atMs: this.#now + delayMs, task };
    this.#tasks.push(entry);
    return () => (this.#tasks = this.#tasks.filter((other) => other !== entry));
  }
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    const due = this.#tasks.filter(({ atMs }) => atMs <= this.#now);
    this.#tasks = this.#tasks.filter(({ atMs }) => atMs > this.#now);
    for (const { task } of due) task();
    await settle();
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function bench(
  limit: number,
  answer: (text: string, count: number) => Outcome | Promise<Outcome>,
): { clock: StillClock; intake: Intake; offer: (text: string) => void; handed: string[]; ends: string[] } {
  const clock = new StillClock();
  const handed: string[] = [];
  const ends: string[] = [];
  const accept = async (incoming: Incoming): Promise<Outcome> => {
    const text = incoming.id ?? "";
    handed.push(text);
    return answer(text, handed.length);
  };
  const intake = new Intake({ context: { ...testContext(limit), clock }, accept, limit });
  const incoming = (id: string): Incoming => ({
    id,
    headers: {},
    contentType: "",
    body: new Uint8Array(),
    replyWanted: false,
    keeper: "source",
  });
  const offer = (text: string): void => {
    const delivery: Delivery = {
      incoming: incoming(text),
      settle: () => void ends.push(`+${text}`),
      giveBack: () => void ends.push(`-${text}`),
    };
    intake.offer(delivery);
  };
  return { clock, intake, offer, handed, ends };
}

const ok = (text: string): Outcome => done({ id: text } as Incoming);

test("refused messages come again in the order they came in, before later ones, and not before their time", async () => {
  const refusals = new Set(["b", "a", "c"]);
  const { clock, offer, handed, ends } = bench(8, async (text) => {
    if (text === "a") await settle(); // its refusal is known after b's
    return refusals.delete(text) ? refused(100) : ok(text);
  });
  for (const text of ["a", "b", "c"]) offer(text);
  await settle();
  await settle();
  offer("d");
  await clock.pass(99);
  assert.deepEqual(handed, ["a", "b", "c"]);
  await clock.pass(100);
  await settle();
  assert.deepEqual(handed, ["a", "b", "c", "a", "b", "c", "d"]);
  assert.deepEqual([...ends].sort(), ["+a", "+b", "+c", "+d"]);
});

test("a lost connection forgets what waits and what becomes of the rest", async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { intake, offer, handed, ends } = bench(1, async (text) => {
    if (text === "old") await held;
    return ok(text);
  });
  offer("old");
  offer("waiting");
  intake.forget();
  offer("new");
  release();
  await settle();
  assert.deepEqual([handed, ends], [["old", "new"], ["+new"]]);
});

test("drain gives back what waits, waits for the rest, and takes nothing more", async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { intake, offer, ends } = bench(1, async (text) => held.then(() => ok(text)));
  offer("a");
  offer("b");
  let drained = false;
  const draining = intake.drain().then(() => (drained = true));
  await settle();
  offer("c");
  await settle();
  assert.deepEqual([ends, drained], [["-b", "-c"], false]);
  release();
  await draining;
  assert.deepEqual(ends, ["-b", "-c", "+a"]);
});

test("room is what the limit leaves, none while paused, cooling or stopping; waiters wake", async () => {
  const { clock, intake, offer } = bench(2, (text, count) => (count === 1 ? refused(50) : ok(text)));
  assert.equal(intake.room, 2);
  intake.pause();
  const waiting = intake.untilRoom();
  assert.equal(intake.room, 0);
  intake.resume();
  assert.equal(await waiting, 2);
  offer("a");
  await settle();
  assert.equal(intake.room, 0);
  const cooling = intake.untilRoom();
  await clock.pass(50);
  assert.equal(await cooling, 1, "the refused one is in hand again before the rest is let in");
  intake.pause();
  const stopping = intake.untilRoom();
  await intake.drain();
  assert.equal(await stopping, 0);
});

test("of messages that are acknowledged when the connection ends, only the one that ends it by itself twice is set aside", async () => {
  const { context, ends, offer, lose, aside, handed } = deadly("poison");
  for (const text of ["a", "poison", "b"]) offer(text);
  await settle();
  assert.equal(ends.length, 0, "the connection ended over all three");
  for (let round = 0; round < 3; round += 1) {
    lose();
    for (const text of ["a", "poison", "b"]) if (!ends.includes(text)) offer(text);
    for (let turn = 0; turn < 10; turn += 1) await settle();
  }
  assert.deepEqual([ends.sort(), aside], [["a", "b"], ["poison"]]);
  assert.equal(context.counts.get("set_aside"), 1);
  assert.equal(handed.filter((text) => text === "poison").length, 3, "it is not run once it is set aside");
  const runs = handed.length;
  offer("poison");
  await settle();
  assert.deepEqual([aside, handed.length], [["poison"], runs], "nor kept twice");
});

test("a message the gateway can't keep is set aside again when it comes again", async () => {
  const { offer, lose, aside, refuse } = deadly("poison");
  refuse(true);
  for (let round = 0; round < 4; round += 1) {
    offer("poison");
    await settle();
    lose();
  }
  assert.deepEqual(aside, []);
  refuse(false);
  offer("poison");
  await settle();
  assert.deepEqual(aside, ["poison"]);
});

test("a message that has been set aside makes room, both for the one behind it and for the next to be fetched", async () => {
  const { intake, ends, offer, lose, aside } = deadly("poison", 1);
  for (let round = 0; round < 2; round += 1) {
    offer("poison");
    await settle();
    lose();
    await settle();
  }
  offer("poison");
  offer("behind it");
  const room = intake.untilRoom();
  await settle();
  assert.deepEqual([aside, ends], [["poison"], ["behind it"]]);
  assert.equal(await room, 1);
});

/** An intake whose acknowledgements wait until the broker takes them; that of one text is never taken. */
function deadly(
  poison: string,
  limit = 8,
): {
  intake: Intake;
  context: ReturnType<typeof testContext>;
  ends: string[];
  handed: string[];
  aside: string[];
  offer: (text: string) => void;
  lose: () => void;
  refuse: (refusing: boolean) => void;
} {
  const context = testContext(limit);
  const ends: string[] = [];
  const handed: string[] = [];
  const aside: string[] = [];
  let crowd = true;
  let refusing = false;
  const accept = async (incoming: Incoming): Promise<Outcome> => {
    const text = incoming.id ?? "";
    if (incoming.setAside === undefined) handed.push(text);
    else if (refusing) return refused(1);
    else aside.push(text);
    return ok(text);
  };
  const intake = new Intake({ context, accept, limit });
  return {
    intake,
    context,
    ends,
    handed,
    aside,
    offer: (text) =>
      intake.offer({
        incoming: { id: text, headers: {}, contentType: "", body: new Uint8Array(), replyWanted: false, keeper: "source" },
        settle: () => (crowd || text === poison ? new Promise<void>(() => undefined) : void ends.push(text)),
        giveBack: () => undefined,
      }),
    lose: () => {
      crowd = false;
      intake.forget();
    },
    refuse: (next) => (refusing = next),
  };
}

test("a clear forgets what waits, settles what the gateway has, and offers the rest of the messages afterwards", async () => {
  let end = (): void => undefined;
  const { intake, offer, handed, ends } = bench(1, (text) =>
    text === "a" ? new Promise((resolve) => (end = () => resolve(ok(text)))) : ok(text),
  );
  for (const text of ["a", "b"]) offer(text);
  await settle();
  let cleared = false;
  const clearing = intake.clear(1_000).then(() => (cleared = true));
  await settle();
  assert.deepEqual([handed, cleared, intake.room], [["a"], false, 0]);
  end();
  await clearing;
  offer("c");
  await settle();
  assert.deepEqual(
    [handed, ends],
    [
      ["a", "c"],
      ["+a", "+c"],
    ],
  );
});

test("what does not end in the time of a clear comes too late, and refused messages are forgotten by it", async () => {
  let end = (): void => undefined;
  const { intake, clock, offer, handed, ends } = bench(2, (text) =>
    text === "late"
      ? new Promise((resolve) => (end = () => resolve(ok(text))))
      : text === "busy"
        ? settle().then(() => refused(50))
        : ok(text),
  );
  for (const text of ["late", "busy"]) offer(text);
  const clearing = intake.clear(1_000);
  await settle();
  await settle();
  await clock.pass(1_000);
  await clearing;
  end();
  await settle();
  await clock.pass(1_000);
  assert.deepEqual([handed, ends], [["late", "busy"], []]);
});

test("a clear whose connection is lost takes nothing from the next connection", async () => {
  const { intake, clock, offer, handed, ends } = bench(2, (text) => (text === "old" ? new Promise(() => undefined) : ok(text)));
  offer("old");
  const clearing = intake.clear(1_000);
  intake.forget();
  offer("new");
  await settle();
  assert.deepEqual([handed, ends], [["old", "new"], ["+new"]]);
  intake.pause();
  offer("waits");
  await clock.pass(1_000);
  await clearing;
  intake.resume();
  await settle();
  assert.deepEqual(
    [handed, ends],
    [
      ["old", "new", "waits"],
      ["+new", "+waits"],
    ],
  );
});
