/** Facts told to witnesses: every end, attempt and delivery once, with what happened; and a witness that throws harms nobody. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import type { Witness, WitnessedAttempt, WitnessedDelivery, WitnessedEnd, WitnessedMessage } from "./contract/witness.ts";
import { done, fail, log, request, type Script, send, text } from "./testing/scripted.ts";
import { type Rig, type RigOptions, until, withGateway, withPeer } from "./testing/rig.ts";

class Notes implements Witness {
  readonly attempts: { readonly message: WitnessedMessage; readonly attempt: WitnessedAttempt }[] = [];
  readonly ends: { readonly message: WitnessedMessage; readonly end: WitnessedEnd }[] = [];
  readonly deliveries: WitnessedDelivery[] = [];

  wants: (message: WitnessedMessage) => boolean = () => true;

  attempted(message: WitnessedMessage, attempt: WitnessedAttempt): void {
    this.attempts.push({ message, attempt });
  }

  ended(message: WitnessedMessage, end: WitnessedEnd): void {
    this.ends.push({ message, end });
  }

  delivered(delivery: WitnessedDelivery): void {
    this.deliveries.push(delivery);
  }
}

async function witnessed(
  yaml: string,
  scripts: Parameters<typeof withGateway>[1],
  run: (rig: Rig, notes: Notes) => Promise<void>,
  options: RigOptions = {},
): Promise<void> {
  const notes = new Notes();
  await withGateway(yaml, scripts, (rig) => run(rig, notes), { ...options, ports: { witnesses: [notes], ...options.ports } });
}

const flow = (more: string): string => `flows: { f: { image: f.mfi, from: [ { http: { path: /f, mode: reply } } ], ${more} } }`;
const post = (url: string, body = "x"): Promise<Response> => fetch(`${url}/f`, { method: "POST", body });

test("a message without a lease, whose caller waits: its end, with events, steps, calls and logs in order", async () => {
  await withPeer(
    (_request, response) => response.end("42"),
    async (peer) => {
      await witnessed(
        flow(`to: { prices: { http: { url: "${peer}" } } }`),
        {
          f: (event) =>
            event.kind === "deliver"
              ? [log("asking"), request(7, "prices", "?")]
              : event.kind === "resolve"
                ? [done(text(event.body))]
                : [],
        },
        async ({ url }, { ends, attempts }) => {
          equal(await (await post(url)).text(), "42");
          const [{ message, end } = { message: undefined, end: undefined }] = await until(() => ends.length > 0 && ends);
          ok(message && end.last);
          deepEqual([end.status, end.attempts, message.source, message.flow, attempts.length], ["done", 1, "http", "f", 0]);
          const { deliver, events, steps, calls, logs, reply } = end.last;
          deepEqual([deliver?.id, text(deliver?.body ?? new Uint8Array(0))], [message.id, "x"]);
          deepEqual(
            events.map(({ kind }) => kind),
            ["resolve"],
          );
          deepEqual(
            steps.map(({ status }) => status),
            ["waiting", "done"],
          );
          deepEqual(
            calls.map(({ call, operation, target, status, code }) => [call, operation, target, status, code]),
            [[7, "request", "prices", 200, undefined]],
          );
          ok((calls[0]?.endedMs ?? 0) >= (calls[0]?.startedMs ?? Number.NaN));
          deepEqual([logs.map((line) => line.text), text(reply?.body ?? new Uint8Array(0))], [["asking"], "42"]);
        },
      );
    },
  );
});

test("the ends: failed where the caller was told of a fault of theirs, dead where there is a letter; attempts before, one by one", async () => {
  let tries = 0;
  await witnessed(
    flow("retry: { attempts: 3, backoff: 1ms..1ms }"),
    {
      f: (event) =>
        event.kind !== "deliver" ? [] : text(event.body) === "bad" ? [fail("BAD", "no", false, 400)] : ((tries += 1), [fail("SICK")]),
    },
    async ({ url, gateway, deadLetters }, { ends, attempts }) => {
      equal((await post(url, "bad")).status, 400);
      await until(() => ends.length === 1);
      deepEqual([ends[0]?.end.status, ends[0]?.end.letter, ends[0]?.end.failure?.code], ["failed", undefined, "BAD"]);
      await gateway.inject("f", { body: Buffer.from("sick"), wait: false });
      await until(() => ends.length === 2);
      const dead = ends[1];
      deepEqual([dead?.end.status, dead?.end.attempts, dead?.end.failure?.code, tries], ["dead", 3, "SICK", 3]);
      deepEqual(
        attempts.map(({ attempt }) => [attempt.attempt, attempt.failure?.code]),
        [
          [1, "SICK"],
          [2, "SICK"],
        ],
      );
      ok((await deadLetters.read(dead?.end.letter ?? "")) !== undefined);
      equal(dead?.end.last?.attempt, 3);
    },
  );
});

test("ends without an attempt: a message that expired in the queue, and one whose caller left before its turn", async () => {
  let answer: () => void = () => undefined;
  await withPeer(
    (_request, response) => void (answer = () => response.end("late")),
    async (peer) => {
      await witnessed(
        flow(`concurrency: 1, expires: 20ms, to: { slow: { http: { url: "${peer}" } } }`),
        { f: (event) => (event.kind === "deliver" ? [request(1, "slow", "x")] : [done("ok")]) },
        async ({ url, gateway, admin }, { ends }) => {
          const first = post(url);
          const leaving = new AbortController();
          const left = fetch(`${url}/f`, { method: "POST", body: "left", signal: leaving.signal }).catch(() => undefined);
          await until(async () => /mayfly_flow_pending\{flow="f"\} 2/.test(await (await admin("/metrics")).text()));
          leaving.abort();
          await left;
          await until(() => ends.length === 1);
          await gateway.inject("f", { body: Buffer.from("old"), wait: false });
          const since = performance.now();
          await until(() => performance.now() - since > 25); // it expires
          answer();
          await first;
          await until(() => ends.length === 3);
          const told = ends.map(({ message, end }) => [text(message.body), end.status, end.last?.attempt, end.failure?.code]);
          deepEqual(told, [
            ["left", "failed", undefined, "MF_CALLER_LEFT"],
            ["x", "done", 1, undefined],
            ["old", "dead", undefined, "MF_EXPIRED"],
          ]);
        },
      );
    },
  );
});

test("deliveries: each attempt, how it ended, and the letter of the one that was the last", async () => {
  let status = 500;
  await withPeer(
    (_request, response) => void ((response.statusCode = status), response.end()),
    async (peer) => {
      await witnessed(
        flow(`to: { out: { http: { url: "${peer}" }, retry: { attempts: 2, backoff: 1ms..1ms } } }`),
        { f: (event) => (event.kind === "deliver" ? [send("out", "x"), done("ok")] : []) },
        async ({ url }, { deliveries, ends }) => {
          await post(url);
          await until(() => deliveries.length === 2);
          deepEqual(
            deliveries.map(({ attempt, status: how, failure, outlet, connector }) => [attempt, how, failure?.status, outlet, connector]),
            [
              [1, "retry", 500, "out", "http"],
              [2, "dead", 500, "out", "http"],
            ],
          );
          match(deliveries[1]?.letter ?? "", /^f\//);
          equal(deliveries[0]?.messageId, ends[0]?.message.id);
          status = 200;
          await post(url);
          await until(() => deliveries.length === 3);
          deepEqual([deliveries[2]?.status, deliveries[2]?.failure], ["sent", undefined]);
        },
      );
    },
  );
});

test("what is kept for witnesses is bounded and takes memory: beyond it an attempt is told without effects and bodies", async () => {
  await withPeer(
    (request_, response) => void (request_.resume(), request_.on("end", () => response.end("answer"))),
    async (peer) => {
      let most = 0;
      const calls = (bytes: number, count: number): Script => {
        let made = 0;
        return (event) => {
          if (event.kind === "deliver") made = 0;
          made += 1;
          return made > count ? [done()] : [request(made, "peer", "x".repeat(bytes))];
        };
      };
      await witnessed(
        `flows:
  short: { image: short.mfi, to: { peer: { http: { url: "${peer}" } } } }
  long: { image: long.mfi, to: { peer: { http: { url: "${peer}" } } } }`,
        { short: calls(100_000, 3), long: calls(1_000_000, 20) },
        async ({ gateway, admin }, { ends }) => {
          const taken = async (): Promise<number> =>
            Number(/mayfly_memory_taken_bytes\{use="sends"\} (\d+)/.exec(await (await admin("/metrics")).text())?.[1]);
          for (const name of ["short", "long"]) await gateway.inject(name, { body: Buffer.from("1"), wait: true });
          most = await taken();
          await until(() => ends.length === 2);
          const [short, long] = ends.map(({ end }) => end.last);
          deepEqual(
            [
              short?.leftOut,
              short?.steps[0]?.effects.length,
              text(short?.events[0]?.kind === "resolve" ? short.events[0].body : new Uint8Array(0)),
            ],
            [undefined, 1, "answer"],
          );
          deepEqual([long?.leftOut, long?.steps.length, long?.steps.every(({ effects }) => effects.length === 0)], [true, 21, true]);
          ok(long?.events.every((event) => event.kind === "resolve" && event.body.length === 0));
          equal(most, 0);
        },
      );
    },
  );
});

test("a dead letter that is retried knows itself as its parent", async () => {
  let sick = true;
  await witnessed(
    flow("retry: { attempts: 1 }"),
    { f: (event) => (event.kind === "deliver" ? [sick ? fail("SICK") : done()] : []) },
    async ({ gateway }, { ends }) => {
      await gateway.inject("f", { id: "one", body: Buffer.from("1"), wait: false });
      await until(() => ends.length === 1);
      sick = false;
      await gateway.retryDeadLetter(ends[0]?.end.letter ?? "");
      await until(() => ends.length === 2);
      deepEqual([ends[1]?.end.status, ends[1]?.message.headers["mayfly-parent"]], ["done", "retry f one"]);
    },
  );
});

test("a witness that throws is reported once and counted, the others are told, and messages go on", async () => {
  const notes = new Notes();
  const thrower: Witness = {
    wants: () => {
      throw new Error("thrown");
    },
    attempted: () => {
      throw new Error("thrown");
    },
    ended: () => {
      throw new Error("thrown");
    },
    delivered: () => {
      throw new Error("thrown");
    },
  };
  await withGateway(
    flow("retry: { attempts: 2, backoff: 1ms..1ms }"),
    { f: (event) => (event.kind === "deliver" && event.attempt === 1 ? [fail("SICK")] : [done()]) },
    async ({ gateway, logs, admin }) => {
      for (let index = 0; index < 3; index++) await gateway.inject("f", { body: Buffer.from("1"), wait: false });
      await until(() => notes.ends.length === 3);
      deepEqual(
        notes.ends.map(({ end }) => end.status),
        ["done", "done", "done"],
      );
      equal(logs.filter(({ text: line }) => line.includes("thrown")).length, 1);
      match(await (await admin("/metrics")).text(), /mayfly_witness_failures_total 12/);
    },
    { ports: { witnesses: [thrower, notes] } },
  );
});

test("nothing is collected of a message that no witness wants; its end is told all the same", async () => {
  const notes = new Notes();
  notes.wants = (message) => message.id === "wanted";
  await withGateway(
    flow("retry: { attempts: 1 }"),
    { f: () => [log("seen"), done()] },
    async ({ gateway }) => {
      for (const id of ["wanted", "not"]) await gateway.inject("f", { id, body: Buffer.from("1"), wait: true });
      deepEqual(
        notes.ends.map(({ message, end }) => [message.id, end.status, end.last?.steps.length]),
        [
          ["wanted", "done", 1],
          ["not", "done", undefined],
        ],
      );
    },
    { ports: { witnesses: [notes] } },
  );
});
