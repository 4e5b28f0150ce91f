/**
 * The one suite every broker connector passes, as a pair of source and outlet, against a real broker and through a proxy that cuts,
 * stalls and refuses. A broker's own abilities (dead-letter exchange, claim of pending entries) are tested beside it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Proxy } from "./proxy.ts";
import {
  aWhile,
  attemptOf,
  done,
  eventually,
  outgoing,
  PretendedGateway,
  random,
  refused,
  type RunningOutlet,
  type RunningSource,
  seed,
  sendSurely,
  startOutlet,
  startSource,
  uniqueName,
} from "./rig.ts";
import type { Incoming, Outcome } from "../../gateway/contract/message.ts";
import type { Address, ConnectorCase } from "./pair.ts";

export function connectorCase(pair: ConnectorCase): void {
  describe(`${pair.name}: source and outlet`, { timeout: 120_000 }, () => {
    const running: (RunningSource | RunningOutlet)[] = [];
    const places: string[] = [];
    let proxy: Proxy;

    before(async () => {
      proxy = await Proxy.open(pair.broker, pair.proxyPort);
    });
    after(async () => {
      await stopAll();
      await proxy.close();
      for (const place of places) await pair.remove(place);
    });

    async function stopAll(): Promise<void> {
      for (const one of running.splice(0)) {
        if ("gateway" in one) {
          one.gateway.answer = done;
          one.gateway.release();
        }
        await ("source" in one ? one.source : one.outlet).stop();
      }
      proxy.refuse(false);
      proxy.stall(false);
    }

    const through = (): Address => ({ host: "127.0.0.1", port: proxy.port });
    async function place(): Promise<string> {
      const name = uniqueName(pair.name);
      places.push(name);
      await pair.make(name);
      return name;
    }
    async function source(
      at: Address,
      name: string,
      more: object = {},
      { prefetch = 16, gateway = new PretendedGateway() }: Partial<Behind> = {},
    ): Promise<RunningSource> {
      const one = await startSource(pair.source, { ...pair.sourceConfig(at, name), ...more }, prefetch, gateway);
      running.push(one);
      return one;
    }
    async function outlet(at: Address, name: string, more: object = {}): Promise<RunningOutlet> {
      const one = await startOutlet(pair.outlet, { ...pair.outletConfig(at, name), ...more });
      running.push(one);
      return one;
    }
    /** A source and an outlet that talk, both through the proxy. */
    async function both(
      prefetch = 16,
      gateway = new PretendedGateway(),
    ): Promise<RunningSource & RunningOutlet & { readonly name: string }> {
      const name = await place();
      const from = await source(through(), name, {}, { prefetch, gateway });
      await eventually("the source is ready", () => from.source.health().ready);
      const to = await outlet(through(), name);
      await eventually("the outlet is ready", () => to.outlet.health().ready);
      return { ...from, outlet: to.outlet, name };
    }
    const received = (gateway: PretendedGateway, count: number): Promise<void> =>
      eventually(`${count} messages, got ${gateway.received.length}`, () => gateway.received.length >= count);
    function it(what: string, work: () => Promise<void>): void {
      test(what, async () => {
        try {
          await work();
        } finally {
          await stopAll();
        }
      });
    }
    const kit: Kit = { pair, through, place, source, outlet, both, received, it, proxy: () => proxy };

    content(kit);
    acknowledgement(kit);
    flowControl(kit);
    connection(kit);
    mistakes(kit);
    shutdown(kit);
    if (pair.replies) requests(kit);
  });
}

/** Behind a source. */
interface Behind {
  readonly prefetch: number;
  readonly gateway: PretendedGateway;
}

interface Kit {
  readonly pair: ConnectorCase;
  readonly proxy: () => Proxy;
  readonly through: () => Address;
  readonly place: () => Promise<string>;
  readonly source: (at: Address, name: string, more?: object, behind?: Partial<Behind>) => Promise<RunningSource>;
  readonly outlet: (at: Address, name: string, more?: object) => Promise<RunningOutlet>;
  readonly both: (prefetch?: number, gateway?: PretendedGateway) => Promise<RunningSource & RunningOutlet & { readonly name: string }>;
  readonly received: (gateway: PretendedGateway, count: number) => Promise<void>;
  readonly it: (what: string, work: () => Promise<void>) => void;
}

const bytes = (incoming: Incoming | undefined): Buffer => Buffer.from(incoming?.body ?? "no message");

const replyHeaders = { "x-from": "flow — 日本", "set-cookie": ["a=1", "b=2; Path=/"] };

function content({ pair, both, received, it }: Kit): void {
  it("carries headers, content type, correlation id, key and id", async () => {
    const { outlet, gateway } = await both();
    const headers = {
      "x-tenant": "acme",
      "ce-type": "order",
      "x-text": 'with spaces; and = signs, "quotes"',
      "x-wide": "Größe 日本 €",
      "x-many": ["one", "two, with a comma", "one"],
      constructor: ["a", "b"],
    };
    const attempt = attemptOf();
    await outlet.send(
      outgoing("hello", { headers, contentType: "text/plain; charset=utf-8", correlationId: "c-42", key: "customer 7" }),
      attempt,
    );
    await received(gateway, 1);
    const [message] = gateway.received;
    assert.equal(message?.contentType, "text/plain; charset=utf-8");
    assert.equal(message?.correlationId, "c-42");
    assert.equal(message?.key, "customer 7");
    if (pair.carriesId) assert.equal(message?.id, attempt.idempotencyKey);
    for (const [name, value] of Object.entries(headers)) assert.deepEqual(message?.headers[name], value, name);
    for (const name of Object.keys(message?.headers ?? {})) assert.doesNotMatch(name, /^(content-type|mayfly-(key|id|correlation-id))$/);
    assert.equal(message?.keeper, pair.keeps ? "source" : "journal");
    assert.equal(message?.replyWanted, false);
  });

  it("takes no sender's word for who the caller is", async () => {
    const { outlet, gateway } = await both();
    const headers = { "x-from": "a", "mayfly-caller": "root", "Mayfly-Claims": '{"sub":"root"}' };
    await outlet.send(outgoing("hello", { headers }), attemptOf());
    await received(gateway, 1);
    const got = gateway.received[0]?.headers ?? {};
    assert.deepEqual([got["x-from"], got["mayfly-caller"], got["mayfly-claims"]], ["a", undefined, undefined]);
  });

  it("carries every byte value, an empty body and a large one", async () => {
    const { outlet, gateway } = await both();
    const all = Uint8Array.from({ length: 512 }, (_, index) => index & 255);
    const large = Buffer.alloc(pair.largestBodyBytes, "0123456789abcdef\n");
    for (const body of [all, new Uint8Array(), large]) {
      await outlet.send(outgoing(body, { contentType: "application/octet-stream" }), attemptOf());
    }
    await received(gateway, 3);
    assert.deepEqual(bytes(gateway.received[0]), Buffer.from(all));
    assert.equal(bytes(gateway.received[1]).length, 0);
    assert.ok(bytes(gateway.received[2]).equals(large));
    assert.ok(!gateway.received.some((message) => Buffer.isBuffer(message.body)), "a Buffer is not what flows are given");
  });

  it("keeps the order, 200 messages of 5 keys", async () => {
    const { outlet, gateway } = await both(64);
    for (let number = 0; number < 200; number += 1) await outlet.send(outgoing(String(number), { key: `k${number % 5}` }), attemptOf());
    await received(gateway, 200);
    assert.deepEqual(
      gateway.texts(),
      Array.from({ length: 200 }, (_, number) => String(number)),
    );
  });
}

function acknowledgement({ pair, both, received, source, through, it, proxy }: Kit): void {
  if (pair.keeps) {
    it("acknowledges only after the outcome: what is cut before it comes again, what is cut after it does not", async () => {
      const gateway = new PretendedGateway();
      gateway.answer = (incoming, count) => (count <= 3 ? gateway.hold(incoming) : done(incoming));
      const { outlet, source: first, name } = await both(16, gateway);
      for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
      await received(gateway, 3);
      proxy().cut();
      await received(gateway, 6);
      assert.deepEqual(gateway.texts().slice(3).sort(), ["a", "b", "c"]);
      if (pair.marksRedelivery) assert.ok(gateway.received.slice(3).every((message) => message.redelivered === true));
      gateway.release(); // late outcomes of the lost connection: nothing may come of them
      await first.stop();
      const next = await source(through(), name);
      await eventually("the outlet is back", () => outlet.health().ready);
      await sendSurely(outlet, outgoing("marker"));
      await eventually("the marker", () => next.gateway.texts().includes("marker"));
      assert.deepEqual(next.gateway.texts(), ["marker"]);
    });

    it("loses nothing through cut connections and keeps the order of first deliveries", async () => {
      const gateway = new PretendedGateway();
      gateway.answer = async (incoming) => {
        await new Promise((resolve) => setTimeout(resolve, random.below(4)));
        return done(incoming);
      };
      const { outlet } = await both(8, gateway);
      const count = 120;
      const cuts = new Set([random.below(40), 40 + random.below(40), 80 + random.below(40)]);
      for (let number = 0; number < count; number += 1) {
        if (cuts.has(number)) proxy().cut();
        await sendSurely(outlet, outgoing(String(number)));
      }
      const distinct = (): string[] => [...new Set(gateway.texts())];
      await eventually("all messages", () => distinct().length === count);
      const sent = Array.from({ length: count }, (_, number) => String(number));
      if (pair.ordersThroughCuts) assert.deepEqual(distinct(), sent, `MAYFLY_SEED=${seed}`);
      else assert.deepEqual(new Set(distinct()), new Set(sent), `MAYFLY_SEED=${seed}`);
    });
  }

  it("acknowledges dead and duplicate messages: they don't come again", async () => {
    const gateway = new PretendedGateway();
    const failure = { origin: "flow" as const, code: "MF_TEST", message: "no", status: 0, retry: false };
    const outcomes: Readonly<Record<string, Outcome>> = {
      dead: { status: "dead", id: "1", failure, kept: true },
      duplicate: { status: "duplicate", id: "2", reply: undefined },
    };
    gateway.answer = (incoming) => outcomes[bytes(incoming).toString()] ?? done(incoming);
    const { outlet, source: first, name } = await both(16, gateway);
    for (const text of ["dead", "duplicate"]) await outlet.send(outgoing(text), attemptOf());
    await eventually("both settled", () => gateway.settled === 2);
    await first.stop();
    const next = await source(through(), name);
    await eventually("ready", () => next.source.health().ready);
    await outlet.send(outgoing("marker"), attemptOf());
    await received(next.gateway, 1);
    assert.deepEqual(next.gateway.texts(), ["marker"]);
  });

  it("offers refused messages again, in their order, and none in between", async () => {
    const gateway = new PretendedGateway();
    let refusals = 0;
    gateway.answer = (incoming) => (bytes(incoming).toString() === "b" && refusals++ < 3 ? refused() : done(incoming));
    const { outlet } = await both(1, gateway);
    for (const text of ["a", "b", "c", "d"]) await outlet.send(outgoing(text), attemptOf());
    await eventually("d", () => gateway.texts().includes("d"));
    assert.deepEqual(gateway.texts(), ["a", "b", "b", "b", "b", "c", "d"]);
  });
}

function flowControl({ both, received, it }: Kit): void {
  it("never has more than prefetch messages in the gateway", async () => {
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const { outlet } = await both(4, gateway);
    for (let number = 0; number < 24; number += 1) await outlet.send(outgoing(String(number)), attemptOf());
    await received(gateway, 4);
    await aWhile();
    assert.equal(gateway.received.length, 4);
    while (gateway.received.length < 24) {
      const before = gateway.received.length;
      gateway.release(2);
      await received(gateway, Math.min(24, before + 1));
    }
    assert.equal(gateway.mostAtOnce, 4);
  });

  it("hands over nothing while paused, and everything in order afterwards", async () => {
    const { outlet, source, gateway } = await both();
    await outlet.send(outgoing("before"), attemptOf());
    await received(gateway, 1);
    source.pause?.();
    source.pause?.();
    for (const text of ["1", "2", "3"]) await outlet.send(outgoing(text), attemptOf());
    await aWhile();
    assert.deepEqual(gateway.texts(), ["before"]);
    source.resume?.();
    source.resume?.();
    await received(gateway, 4);
    assert.deepEqual(gateway.texts(), ["before", "1", "2", "3"]);
  });
}

function connection({ pair, both, received, source, outlet, place, through, it, proxy }: Kit): void {
  it("is ready only when connected: broker away at start, then there", async () => {
    const name = await place();
    proxy().refuse(true);
    const from = await source(through(), name);
    const to = await outlet(through(), name);
    for (const health of [from.source.health(), to.outlet.health()]) {
      assert.equal(health.ready, false);
      assert.match(health.detail, /^MF_[A-Z0-9]+_UNREACHABLE: /);
    }
    await assert.rejects(to.outlet.send(outgoing("x"), attemptOf()), { retryable: true });
    proxy().refuse(false);
    await eventually("both ready", () => from.source.health().ready && to.outlet.health().ready);
    await to.outlet.send(outgoing("at last"), attemptOf());
    await received(from.gateway, 1);
  });

  it("connects again after a cut, with backoff, and says so", async () => {
    const { source: from, outlet: to, gateway, context } = await both();
    proxy().refuse(true);
    proxy().cut();
    await eventually("both notice", () => !from.health().ready && !to.health().ready);
    const tries = proxy().connections;
    await eventually("three more tries", () => proxy().connections >= tries + 3);
    const errors = context.lines.filter((line) => line.level === "error");
    assert.ok(errors.length >= 1 && errors.length <= 2, `an error line for each code, not for each try: ${JSON.stringify(errors)}`);
    proxy().refuse(false);
    await eventually("both are back", () => from.health().ready && to.health().ready);
    await to.send(outgoing("again"), attemptOf());
    await received(gateway, 1);
  });

  it("notices a silent broker", async () => {
    const name = await place();
    const from = await source(through(), name, pair.quickHeartbeat);
    await eventually("ready", () => from.source.health().ready);
    proxy().stall(true);
    await eventually("it notices", () => !from.source.health().ready);
    proxy().cut();
    proxy().stall(false);
    await eventually("it is back", () => from.source.health().ready);
  });
}

function mistakes({ pair, source, outlet, place, received, it }: Kit): void {
  const { badLogin, missing } = pair;
  if (badLogin !== undefined) {
    it("says clearly that the login is wrong, and stays alive", async () => {
      const name = await place();
      const from = await source(pair.broker, name, badLogin.change);
      const to = await outlet(pair.broker, name, badLogin.change);
      for (const [health, context] of [
        [from.source.health(), from.context],
        [to.outlet.health(), to.context],
      ] as const) {
        assert.equal(health.ready, false);
        assert.ok(health.detail.startsWith(`${badLogin.code}: `), health.detail);
        assert.doesNotMatch(JSON.stringify([health, context.lines]), /wrong-password/);
        await eventually("it tries again", () => (context.counts.get("reconnect") ?? 0) >= 1);
      }
      await assert.rejects(to.outlet.send(outgoing("x"), attemptOf()), { code: badLogin.code, retryable: true });
    });
  }
  if (missing !== undefined) {
    it("says clearly that the place is missing, and goes on once it is there", async () => {
      const name = await place();
      await pair.remove(name);
      const from = await source(pair.broker, name);
      assert.equal(from.source.health().ready, false);
      assert.ok(from.source.health().detail.startsWith(`${missing.source}: `), from.source.health().detail);
      const to = await outlet(pair.broker, name);
      if (missing.outlet !== undefined)
        await assert.rejects(to.outlet.send(outgoing("x"), attemptOf()), { code: missing.outlet, retryable: true });
      await pair.make(name);
      await eventually("both are ready", () => from.source.health().ready && to.outlet.health().ready);
      await sendSurely(to.outlet, outgoing("found"));
      await received(from.gateway, 1);
    });
  }
}

function shutdown({ pair, both, received, source, through, it }: Kit): void {
  it("stops with nothing in doubt: what was taken is settled, the rest goes to the next consumer", async () => {
    const gateway = new PretendedGateway();
    gateway.answer = gateway.hold;
    const { outlet, source: first, name } = await both(6, gateway);
    for (let number = 0; number < 10; number += 1) await outlet.send(outgoing(String(number)), attemptOf());
    await received(gateway, 6);
    let stopped = false;
    const stopping = first.stop().then(() => (stopped = true));
    await aWhile();
    assert.equal(stopped, false, "it waits for what is in the gateway");
    gateway.answer = done;
    gateway.release();
    await stopping;
    assert.equal(gateway.received.length, pair.keeps ? 6 : 10, pair.keeps ? "nothing new was taken" : "nobody else has the rest");
    assert.equal(first.health().ready, false);
    const next = await source(through(), name);
    await eventually("ready", () => next.source.health().ready);
    await outlet.send(outgoing("marker"), attemptOf());
    await eventually("the marker", () => next.gateway.texts().includes("marker"));
    if (pair.keeps) assert.deepEqual(next.gateway.texts().sort(), ["6", "7", "8", "9", "marker"]);
  });

  if (pair.keeps) {
    it("gives back what it holds for a busy gateway when it stops", async () => {
      const gateway = new PretendedGateway();
      gateway.answer = () => refused(60_000);
      const { outlet, source: first, name } = await both(4, gateway);
      for (const text of ["a", "b", "c"]) await outlet.send(outgoing(text), attemptOf());
      await received(gateway, 1);
      await first.stop();
      const next = await source(through(), name);
      // Distinct ones: NATS server 2.9 sends a returned message to a pull that was left, and its neighbour twice.
      await eventually("all three", () => new Set(next.gateway.texts()).size === 3);
      assert.deepEqual([...new Set(next.gateway.texts())].sort(), ["a", "b", "c"]);
    });
  }

  it("stops at once while its broker is away", async () => {
    const gone = await source({ host: "127.0.0.1", port: 1 }, "nowhere");
    assert.equal(gone.source.health().ready, false);
    await gone.source.stop();
    const { context } = gone;
    const tries = context.counts.get("reconnect") ?? 0;
    await aWhile();
    await aWhile();
    assert.equal(context.counts.get("reconnect") ?? 0, tries, "no attempt after stop");
  });
}

function requests({ both, it }: Kit): void {
  it("asks and answers: reply, failure, and answers that are not mixed up", async () => {
    const gateway = new PretendedGateway();
    gateway.answer = async (incoming) => {
      const text = bytes(incoming).toString();
      assert.equal(incoming.replyWanted, true);
      const failure = { origin: "flow" as const, code: "MF_TEST_FAILED", message: "no such order", status: 404, retry: false };
      if (text === "fail") return { status: "dead", id: "1", failure, kept: true };
      await new Promise((resolve) => setTimeout(resolve, text === "slow" ? 60 : 0));
      const headers = replyHeaders;
      return {
        status: "done",
        id: "1",
        reply: { status: 201, contentType: "text/x-answer", headers, body: Uint8Array.from(Buffer.from(`re: ${text}`)) },
      };
    };
    const { outlet } = await both(16, gateway);
    const ask = (text: string): Promise<string> =>
      outlet.request!({ ...outgoing(text), method: "" }, attemptOf()).then((answer) => {
        assert.equal(answer.status, 201);
        assert.equal(answer.contentType, "text/x-answer");
        assert.deepEqual([answer.headers["x-from"], answer.headers["set-cookie"]], [replyHeaders["x-from"], replyHeaders["set-cookie"]]);
        return Buffer.from(answer.body).toString();
      });
    assert.deepEqual(await Promise.all([ask("slow"), ask("one"), ask("two")]), ["re: slow", "re: one", "re: two"]);
    await assert.rejects(ask("fail"), { code: "MF_PEER_FAILED", status: 404, retryable: false, message: /MF_TEST_FAILED.*no such order/ });
  });
}
