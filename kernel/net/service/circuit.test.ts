/** The circuit breaker of an outlet: it opens, lets one exchange find out, and closes. */
import { equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import type { Effect, ServiceOutlet } from "#abi";
import { type Peer, plainFlow, ServiceBench, statusOf } from "../testing/service.ts";

const outlet: ServiceOutlet = {
  ...{ name: "erp", scheme: "http", host: "10.0.2.3", port: 80, path: "/in", method: "POST", timeoutMs: 1000, attempts: 1 },
  ...{ backoffMs: { least: 10, most: 20 }, retryAgeMs: 60_000, basic: undefined, headers: {} },
  breaker: { failures: 2, pauseMs: 5_000 },
};
const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n";
const common = { contentType: "", headersJson: "{}" };
const ask: Effect = {
  ...common,
  kind: "call",
  call: 1,
  operation: "request",
  target: "erp",
  method: "GET",
  timeoutMs: 0,
  body: new Uint8Array(0),
};
const send: Effect = { ...common, kind: "send", outlet: "erp", key: undefined, body: Buffer.from("x") };
const done: Effect = { kind: "done", reply: undefined };

class Circuit {
  readonly bench: ServiceBench;
  #asked = 0;

  static async create(change: Partial<ServiceOutlet> = {}): Promise<Circuit> {
    return new Circuit(
      await ServiceBench.create({
        service: { outlets: [{ ...outlet, ...change }], routes: plainFlow.routes.map((route) => ({ ...route, fullErrors: true })) },
        names: { "10.0.2.3": 0x0a000203 },
        run: (event) => {
          if (event.kind === "deliver") return Buffer.from(event.body).toString() === "s" ? [send, done] : [ask];
          if (event.kind !== "resolve" || event.error === undefined) return [done];
          return [{ kind: "fail", code: event.error.code, message: event.error.message, stack: undefined, retry: true, status: 0 }];
        },
      }),
    );
  }

  constructor(bench: ServiceBench) {
    this.bench = bench;
  }

  /** A caller whose flow asks or sends; the answer comes by itself, or once `answer` was called. */
  call(kind: "a" | "s" = "a"): Peer {
    const caller = this.bench.open();
    ok(caller !== undefined);
    this.bench.send(caller, post + kind);
    return caller;
  }

  /** The connection to the outlet that was made since the last one that was looked at. */
  get asked(): Peer | undefined {
    return this.bench.connected[this.#asked];
  }

  /** The peer answers what is asked of it. */
  answer(status: number, head = ""): void {
    const peer = this.asked;
    ok(peer !== undefined, "nobody asks");
    this.#asked++;
    this.bench.connect(peer);
    this.bench.send(peer, `HTTP/1.1 ${status} x\r\n${head}Content-Length: 0\r\nConnection: close\r\n\r\n`);
    this.bench.end(peer);
    this.bench.close(peer);
  }

  get isOpen(): boolean {
    return /mayfly_outlet_circuit_open\{flow="orders",outlet="erp"\} 1\n/.test(this.bench.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  }
}

test("failures in a row open the circuit: requests and sends fail at once, until one has found the peer well", async () => {
  const circuit = await Circuit.create();
  for (const status of [500, 503]) {
    const caller = circuit.call();
    circuit.answer(status);
    equal(statusOf(caller.text), 502);
  }
  ok(circuit.isOpen);
  for (const kind of ["a", "s"] as const) {
    const refused = circuit.call(kind);
    equal(statusOf(refused.text), 503, refused.text);
    match(refused.text, /MF_CIRCUIT_OPEN/);
  }
  match(circuit.bench.host.console, /the outlet erp failed 2 times in a row: its circuit breaker is open, try again later/);
  equal(circuit.asked, undefined, "the peer is left alone");
  circuit.bench.pass(5_001);
  const probe = circuit.call();
  match(circuit.call().text, /MF_CIRCUIT_OPEN/);
  circuit.answer(500);
  equal(statusOf(probe.text), 502);
  match(circuit.call().text, /MF_CIRCUIT_OPEN/);
  circuit.bench.pass(5_001);
  const second = circuit.call("s");
  circuit.answer(200);
  equal(statusOf(second.text), 204);
  ok(!circuit.isOpen);
  const [one, two] = [circuit.call(), circuit.call()];
  circuit.answer(200);
  circuit.answer(200);
  equal(statusOf(one.text) + statusOf(two.text), 408);
});

test("a refused request says that the peer is well, and what it says of its own time counts", async () => {
  const circuit = await Circuit.create();
  for (const status of [500, 404, 500, 400, 500]) {
    circuit.call();
    circuit.answer(status);
  }
  ok(!circuit.isOpen, "never two in a row");
  circuit.call();
  circuit.answer(503, "Retry-After: 20\r\n");
  circuit.bench.pass(19_000);
  match(circuit.call().text, /MF_CIRCUIT_OPEN/);
  circuit.bench.pass(1_001);
  circuit.call();
  circuit.answer(200);
  ok(!circuit.isOpen);
});

test("a caller that leaves while its request is the probe gives the place to the next", async () => {
  const circuit = await Circuit.create({ breaker: { failures: 1, pauseMs: 1_000 } });
  circuit.call();
  circuit.answer(500);
  circuit.bench.pass(1_001);
  const probe = circuit.call();
  ok(circuit.asked !== undefined);
  circuit.bench.close(probe);
  const next = circuit.call();
  ok(!/MF_CIRCUIT_OPEN/.test(next.text), next.text);
});

test("an outlet without a breaker is asked each time", async () => {
  const circuit = await Circuit.create({ breaker: undefined });
  for (let time = 0; time < 5; time++) {
    circuit.call();
    circuit.answer(500);
  }
  ok(!circuit.isOpen);
});
