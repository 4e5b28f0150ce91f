import assert from "node:assert/strict";
import { test } from "node:test";
import { CodedError } from "#base";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { brokerSource, type BrokerSourceOptions, FetchLoop, Held, type SourceOpening } from "./broker-source.ts";
import { Intake } from "./intake.ts";
import { incomingOf } from "./wire.ts";
import { PretendedGateway, testContext } from "../testing/rig.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const happened: string[] = [];
function bench(options: Partial<BrokerSourceOptions> & Pick<BrokerSourceOptions, "open">) {
  happened.length = 0;
  const clock = new ManualClock();
  const context = testContext(4);
  const source = brokerSource({
    context: { ...context, clock, unexpected: (error, where) => void happened.push(`unexpected in ${where}: ${String(error)}`) },
    peer: "broker",
    place: "queue q",
    prefetch: undefined,
    explain: (peer, place, error) => new CodedError("MF_TEST", `${place} of ${peer}: ${String(error)}`),
    ...options,
  });
  return { source, clock, context, gateway: new PretendedGateway() };
}

const closable = (name: string): { close(): void } => ({ close: () => void happened.push(`close ${name}`) });

function offer({ intake }: SourceOpening, text: string): void {
  intake.offer({
    incoming: incomingOf({ headers: {}, body: Buffer.from(text) }, undefined),
    settle: () => void happened.push(`settle ${text}`),
    giveBack: () => void happened.push(`give back ${text}`),
  });
}

test("a failed open closes what it owned, last first, and health tells why it failed, not that it was closed", async () => {
  const { source, gateway } = bench({
    async open({ lost, own }) {
      own({ close: () => lost(new Error("closed")) });
      own(closable("second"));
      throw new Error("no such queue");
    },
  });
  await source.start(gateway.accept);
  assert.deepEqual(happened, ["close second"]);
  assert.deepEqual(source.health(), { ready: false, detail: "MF_TEST: queue q of broker: Error: no such queue" });
  await source.stop();
});

test("stop ends the reading, gives back what waits, awaits what the gateway has, flushes, and then closes", async () => {
  let opening: SourceOpening | undefined;
  const { source, gateway } = bench({
    prefetch: 1,
    async open(given) {
      opening = given;
      given.own(closable("connection"));
      return { end: async () => happened.push("end"), flush: async () => happened.push("flush") };
    },
  });
  gateway.answer = gateway.hold;
  await source.start(gateway.accept);
  assert.ok(opening);
  assert.equal(opening.intake.limit, 1);
  offer(opening, "a");
  offer(opening, "b");
  const stopped = source.stop();
  await turn();
  assert.deepEqual(happened, ["end", "give back b"]);
  gateway.release();
  await stopped;
  assert.deepEqual(happened, ["end", "give back b", "settle a", "flush", "close connection"]);
});

for (const atMostOnce of [false, true]) {
  test(`a loss closes the session; what came before it is ${atMostOnce ? "kept, for the broker does not have it" : "forgotten"}`, async () => {
    const openings: SourceOpening[] = [];
    const { source, gateway } = bench({
      atMostOnce,
      async open(opening) {
        openings.push(opening);
        opening.own(closable(`connection ${openings.length}`));
        return {};
      },
    });
    gateway.answer = gateway.hold;
    await source.start(gateway.accept);
    const [first] = openings;
    assert.ok(first);
    offer(first, "a");
    first.lost(new Error("cut"));
    await turn();
    gateway.release();
    await turn();
    assert.deepEqual(happened, atMostOnce ? ["close connection 1", "settle a"] : ["close connection 1"]);
    assert.equal(source.health().ready, false);
    await source.stop();
  });
}

test("an error in a callback is reported with the place, and not thrown into the client", async () => {
  const { source, gateway } = bench({
    async open({ callback }) {
      callback(() => {
        throw new Error("our fault");
      })();
      return {};
    },
  });
  await source.start(gateway.accept);
  assert.deepEqual(happened, ["unexpected in a message of queue q: Error: our fault"]);
  await source.stop();
});

test("a FetchLoop fetches as much as there is room for, one fetch after the other, until it is closed or a fetch fails", async () => {
  const rooms: number[] = [];
  let end: (error?: Error) => void = () => {};
  const lost: unknown[] = [];
  const fetch = (room: number): Promise<void> =>
    new Promise((resolve, reject) => {
      rooms.push(room);
      end = (error) => (error === undefined ? resolve() : reject(error));
    });
  const intake = new Intake({ context: testContext(), accept: new PretendedGateway().accept, limit: 3 });
  const loop = new FetchLoop(intake, (error) => void lost.push(error), fetch);
  await turn();
  assert.deepEqual(rooms, [3]);
  end();
  await turn();
  assert.deepEqual(rooms, [3, 3]);
  loop.close();
  end();
  await loop.over;
  assert.deepEqual(rooms, [3, 3]);

  const failing = new FetchLoop(intake, (error) => void lost.push(error), fetch);
  await turn();
  const failure = new Error("gone");
  end(failure);
  await failing.over;
  assert.deepEqual(lost, [failure]);
});

test("Held renews what is held, every interval, and nothing once it is closed", () => {
  const clock = new ManualClock();
  const renewed: (readonly string[])[] = [];
  const held = new Held<string>({ clock }, 100, (messages) => void renewed.push(messages));
  clock.advance(100);
  held.add("a");
  held.add("b");
  clock.advance(100);
  held.delete("a");
  clock.advance(100);
  held.close();
  clock.advance(1_000);
  assert.deepEqual(renewed, [["a", "b"], ["b"]]);
});
