/** Bodies that a machine reads in pieces: windows it asks for, batches it ends with, and what it refuses. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { type DeliverEvent, type Effect, hardLimits } from "#abi";
import { bootMachine, deliver, deliverBody, run, type Step } from "../testing/fake-machine.ts";
import { readingLimits } from "./limits.ts";
import { decode, failure, header, resolveEvent } from "../testing/flows.ts";

const windowBytes = 262_144;

function stored(body: Uint8Array, more: object = {}): DeliverEvent {
  const headers = {
    "mayfly-claim": "x".repeat(22),
    "mayfly-claim-bytes": String(body.length),
    "mayfly-claim-sha256": "0".repeat(64),
    ...more,
  };
  return { ...deliver, headersJson: JSON.stringify(headers) };
}

interface Ran extends Step {
  /** Offsets of the windows that were asked for. */
  readonly offsets: readonly string[];
}

/** Runs a flow to its end: windows are given from the body, timers are due at once. */
async function runOn(source: string, event: DeliverEvent, body: Uint8Array): Promise<Ran> {
  const machine = await bootMachine(`${header}${source}`);
  const offsets: string[] = [];
  let step = machine.event(event);
  while (step.outcome === 0) {
    const last: Effect | undefined = step.effects.at(-1);
    if (last?.kind === "timer") {
      step = machine.event({ kind: "wake", timeMs: last.dueMs, timer: last.timer });
      continue;
    }
    ok(last?.kind === "call" && last.operation === "window", JSON.stringify(last));
    offsets.push(last.target);
    const offset = Number(last.target);
    step = machine.event({ ...resolveEvent(last.call, ""), body: body.subarray(offset, offset + windowBytes) } as never);
  }
  return { ...step, offsets };
}

function replied({ effects }: Step): unknown {
  const last = effects.at(-1);
  ok(last?.kind === "done", JSON.stringify(last));
  return JSON.parse(decode(last.reply?.body));
}

const csv = (rows: number): Uint8Array =>
  new TextEncoder().encode(`id,text\n${Array.from({ length: rows }, (_, i) => `${i},"é ""${i}"""\n`).join("")}`);
const counting = `export default flow(async (msg) => { let rows = 0, sum = 0; for await (const row of msg.rows()) { rows++; sum += Number(row.id); } return { rows, sum, bytes: msg.toJSON?.().bytes }; });`;

test("the bounds are the door's", () => {
  deepEqual(
    [readingLimits.windowBytes, readingLimits.positionCharacters],
    [hardLimits.windowBytes, Math.floor(hardLimits.positionBytes / 3)],
  );
});

test("a stored body is read window by window, and one that is here in steps of its own, to the same rows", async () => {
  const body = csv(60_000);
  const expected = { rows: 60_000, sum: (60_000 * 59_999) / 2, bytes: body.length };
  const far = await runOn(counting, stored(body), body);
  deepEqual(replied(far), expected);
  deepEqual(
    far.offsets,
    Array.from({ length: Math.ceil(body.length / windowBytes) }, (_, i) => String(i * windowBytes)),
  );
  const here = await runOn(counting, deliverBody(body) as DeliverEvent, body);
  deepEqual([replied(here), here.offsets], [expected, []]);
});

test("a body may be read twice, left early, and read by two loops at once", async () => {
  const body = csv(20);
  const source = `export default flow(async (msg) => {
    const ids = [];
    for await (const row of msg.rows()) { ids.push(row.id); if (ids.length === 3) break; }
    const [a, b] = [msg.lines(), msg.rows()];
    ids.push((await a.next()).value, (await b.next()).value.id, (await a.next()).value);
    const both = await Promise.all([b.next(), b.next()]);
    ids.push(...both.map(({ value }) => value.id), (await b.return()).done, (await b.next()).done);
    return ids;
  });`;
  deepEqual(replied(await runOn(source, stored(body), body)), ["0", "1", "2", "id,text", "0", '0,"é ""0"""', "1", "2", true, true]);
});

const batched = (loop: string, more = ""): string =>
  `export default flow({ batch: 4 }, async (msg, { to }) => { const seen = []; ${loop}; msg.batch.carry(Number(msg.batch.carried ?? 0) + seen.length); const { number, first, of, last } = msg.batch; to.out.send({ seen, number, first, of, last, carried: msg.batch.carried ?? null }); ${more} });`;

/** Runs all batches of a message, each in a fresh machine; what they sent. */
async function batches(source: string, body: Uint8Array, isStored = true): Promise<Record<string, unknown>[]> {
  const sent: Record<string, unknown>[] = [];
  let more: object = {};
  for (;;) {
    const base = isStored ? stored(body, more) : { ...(deliverBody(body) as DeliverEvent), headersJson: JSON.stringify(more) };
    const ran = await runOn(source, { ...base, id: `m-${sent.length + 1}` }, body);
    for (const effect of ran.effects) if (effect.kind === "send") sent.push(JSON.parse(decode(effect.body)) as Record<string, unknown>);
    const last = ran.effects.at(-1);
    if (last?.kind !== "continue") {
      equal(last?.kind, "done", JSON.stringify(last));
      return sent;
    }
    ok(last.position !== undefined && sent.length < 50);
    more = { "mayfly-position": last.position };
  }
}

test("each batch has a machine of its own, goes on where the one before ended, and the last says so", async () => {
  const loop = "for await (const row of msg.rows()) seen.push(Number(row.id))";
  for (const isStored of [true, false]) {
    const sent = await batches(batched(loop), csv(10), isStored);
    deepEqual(sent, [
      { seen: [0, 1, 2, 3], number: 1, first: 0, of: "m-1", last: false, carried: null },
      { seen: [4, 5, 6, 7], number: 2, first: 4, of: "m-1", last: false, carried: 4 },
      { seen: [8, 9], number: 3, first: 8, of: "m-1", last: true, carried: 8 },
    ]);
    deepEqual(
      (await batches(batched(loop), csv(8), isStored)).map(({ last }) => last),
      [false, true],
      "no empty batch at the end",
    );
    deepEqual(
      (await batches(batched(loop), csv(0), isStored)).map(({ seen }) => seen),
      [[]],
    );
  }
});

test("a flow need not ask for its batch", async () => {
  const source = "export default flow({ batch: 4 }, async (msg, { to }) => { for await (const row of msg.rows()) to.out.send(row); });";
  deepEqual(
    (await batches(source, csv(10))).map(({ id }) => Number(id)),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
});

test("a batch that is left early goes on with the next item", async () => {
  const sent = await batches(
    batched("for await (const line of msg.lines()) { seen.push(line); if (seen.length === 3) break; }"),
    new TextEncoder().encode("a\nb\nc\nd\ne\nf\ng"),
  );
  deepEqual(
    sent.map(({ seen }) => seen),
    [["a", "b", "c"], ["d", "e", "f"], ["g"]],
  );
});

test("batches of elements, and a flow that returns before it reads", async () => {
  const xml = new TextEncoder().encode(`<o>${Array.from({ length: 9 }, (_, i) => `<i>${i}</i>`).join("")}</o>`);
  deepEqual(
    (await batches(batched('for await (const each of msg.elements("i")) seen.push(each)'), xml)).map(({ seen }) => seen),
    [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8"]],
  );
  deepEqual(await batches(batched("if (msg.batch.number === 1) return"), xml), []);
});

test("what a flow can't do with readers and batches is a coded error", async () => {
  const body = csv(20);
  const code = async (source: string, more: object = {}): Promise<string> => {
    const { code: found, message, retry } = failure((await runOn(source, stored(body, more), body)).effects);
    equal(retry, false, message);
    return `${found}: ${message}`;
  };
  match(await code(batched("msg.rows(); msg.rows()")), /^MF_ARGUMENT: a flow with `batch` reads its message once/);
  match(await code(batched("msg.rows()")), /^MF_BATCH_EMPTY: /);
  match(
    await code(batched('for await (const row of msg.rows()) seen.push(row.id); msg.batch.carry("x".repeat(11000)); return')),
    /^MF_BATCH_POSITION: .*carry less/,
  );
  match(
    await code(batched("for await (const row of msg.lines()) seen.push(row)"), {
      "mayfly-position": '{"kind":"rows","offset":0,"skip":0,"state":{}}',
    }),
    /^MF_BATCH_POSITION: earlier batches read the message's rows/,
  );
  match(await code("export default flow(async (msg) => msg.text());"), /^MF_BODY_CLAIMED: .*rows\(\), lines\(\) or elements\(\)/);
  match(
    await code("export default flow(async (msg) => { for await (const x of msg[msg.contentType + 'rows']()) x; });"),
    /^MF_FORMAT_NOT_LINKED: msg.rows\(\) is not linked/,
  );
  match(
    failure((await run(`${header}${batched("for await (const row of msg.rows()) seen.push(row)")}`, deliverBody('id\n1\n"'))).effects).code,
    /^MF_MESSAGE_INVALID$/,
  );
});

test("a body that is gone or damaged is not tried again", async () => {
  const machine = await bootMachine(`${header}${counting}`);
  machine.event(stored(csv(3)));
  const { code, retry } = failure(
    machine.event({ ...resolveEvent(0, ""), error: { code: "MF_CLAIM_DAMAGED", message: "no" }, status: 0 } as never).effects,
  );
  deepEqual([code, retry], ["MF_CLAIM_DAMAGED", false]);
  const short = await bootMachine(`${header}${counting}`);
  short.event(stored(csv(3)));
  deepEqual(failure(short.event(resolveEvent(0, "id")).effects).code, "MF_CLAIM_DAMAGED");
});
