/** The page's pure parts: formats, bodies, the map's layout, the timeline, the search. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { contentOf, csvRows, editable, hexLines, xmlLines } from "./body.ts";
import { age, ago, bytes, count, duration, percent, plural, rate } from "./format.ts";
import { edgeWidth, layout } from "./layout.ts";
import { limits } from "./limits.ts";
import { belongs, isLive, messagesPath, readSearch } from "./search.ts";
import { lifeOf, readSleeperSearch, sleeperPath, sleepersPath, waitsFor } from "./sleepers.ts";
import { timelineOf } from "./timeline.ts";
import type { MessageDetail, MessageSummary } from "#gateway";
import type { Preview as ApiPreview } from "../../gateway/approvals/preview.ts";
import type { ListedSleeper } from "../../gateway/sleepers-shown.ts";
import type { LetterGroup as ApiLetterGroup, LetterRow as ApiLetterRow } from "../../gateway/watch/letters.ts";
import type { Past as ApiPast, Percentiles as ApiPercentiles, Rates as ApiRates } from "../../gateway/watch/samples.ts";
import type { MapEdge as ApiMapEdge, MapNode as ApiMapNode } from "../../gateway/watch/views.ts";
import type { Problem as ApiProblem } from "../../gateway/watch/watch.ts";
import type {
  Detail,
  LetterGroup,
  LetterRow,
  MapEdge,
  MapNode,
  Past,
  Percentiles,
  Preview,
  Problem,
  Rates,
  SleeperRow,
  Summary,
} from "./types.ts";

type Reads<Page, Api extends Page> = Api;
/** The page has shapes of its own, since it imports nothing of the gateway. This compiles only while the gateway's answers fit them. */
export type Read = [
  Reads<Detail, MessageDetail>,
  Reads<Summary, MessageSummary>,
  Reads<LetterRow, ApiLetterRow>,
  Reads<LetterGroup, ApiLetterGroup>,
  Reads<Past, ApiPast>,
  Reads<Percentiles, ApiPercentiles>,
  Reads<Rates, ApiRates>,
  Reads<MapNode, ApiMapNode>,
  Reads<MapEdge, ApiMapEdge>,
  Reads<Problem, ApiProblem>,
  Reads<SleeperRow, Omit<ListedSleeper, "waits"> & Pick<SleeperRow, "waits">>,
  Reads<Preview, Omit<ApiPreview, "sends"> & Pick<Preview, "sends">>,
];

test("numbers, sizes and times are said as people read them", () => {
  deepEqual([0, 512, 1024, 1536, 10 * 1024 * 1024, 150 * 1024 * 1024].map(bytes), [
    "0 B",
    "512 B",
    "1 KiB",
    "1.5 KiB",
    "10 MiB",
    "150 MiB",
  ]);
  deepEqual([0, 999, 1234, 12_345_678].map(count), ["0", "999", "1,234", "12.3 M"]);
  deepEqual([0, 0.01, 2.24, 50, 1000].map(rate), ["0", "< 0.1", "2.2", "50", "1,000"]);
  deepEqual([0, 0.25, 8.2, 50, 100, 999, 1500, 12_000, 60_000, 90_000, 3_600_000, 90_000_000, 172_799_000, -5].map(duration), [
    "0 ms",
    "0.25 ms",
    "8.2 ms",
    "50 ms",
    "100 ms",
    "999 ms",
    "1.5 s",
    "12 s",
    "1 min 0 s",
    "1 min 30 s",
    "1 h 0 min",
    "1 d 1 h",
    "2 d 0 h",
    "-5 ms",
  ]);
  deepEqual(
    [[500, 5_000, 120_000, 7_200_000, 259_200_000].map(age), ago(500), ago(5_000)],
    [["just now", "5 s", "2 min", "2 h", "3 d"], "just now", "5 s ago"],
  );
  deepEqual(
    [percent(0), percent(0.001), percent(0.5), plural(1, "send"), plural(2, "retry", "retries")],
    ["0 %", "< 1 %", "50 %", "1 send", "2 retries"],
  );
});

test("a body is what its type or its beginning says, and never throws", () => {
  const kind = (text: string, type = ""): string => contentOf({ text }, type).kind;
  deepEqual(
    [
      kind('{"a":1}'),
      kind("[1]"),
      kind("7", "application/json"),
      kind("{oops", "application/json"),
      kind("<a/>"),
      kind("a,b", "text/csv"),
      kind("hello"),
      kind(""),
    ],
    ["json", "json", "json", "text", "xml", "csv", "text", "empty"],
  );
  equal(contentOf({ base64: "AP8=" }, "application/json").kind, "hex");
  equal(contentOf({ base64: "?" }, "").kind, "empty");
  equal(contentOf({ omitted: 7 }, "").kind, "omitted");
  equal(editable({ text: '{"a":1}' }, ""), '{\n  "a": 1\n}');
  equal(editable({ base64: "AP8=" }, ""), undefined);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom("", "text/xml", "text/csv", "application/json"), (text, type) => {
      contentOf({ text }, type);
      xmlLines(text);
      csvRows(text);
      contentOf({ base64: text }, type);
    }),
  );
});

test("CSV keeps quotes, line breaks in quotes and semicolons; it stops at the bound", () => {
  deepEqual(csvRows('a,b\r\n"1,5","say ""hi""\nthere"\n'), [
    ["a", "b"],
    ["1,5", 'say "hi"\nthere'],
  ]);
  deepEqual(csvRows("a;b\n1;2"), [
    ["a", "b"],
    ["1", "2"],
  ]);
  equal(csvRows("a\n".repeat(10_000)).length, limits.cells);
  fc.assert(
    fc.property(fc.array(fc.array(fc.string(), { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 20 }), (rows) => {
      const text = rows.map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",")).join("\n");
      const unsplit = !text.slice(0, text.search(/\r?\n|$/)).includes(";") && !text.slice(0, text.search(/\r?\n|$/)).includes("\t");
      if (unsplit) deepEqual(csvRows(text), rows);
    }),
  );
});

test("XML is laid out by its tags, and nothing in it is lost", () => {
  deepEqual(
    xmlLines('<?xml version="1.0"?><a><b x="1">text</b><c/><!-- no --><d></d></a>').map(({ depth, text }) => `${depth} ${text}`),
    ['0 <?xml version="1.0"?>', "0 <a>", '1 <b x="1">text</b>', "1 <c/>", "1 <!-- no -->", "1 <d></d>", "0 </a>"],
  );
  ok(xmlLines("<a>".repeat(100_000)).length <= limits.lines);
  equal(
    xmlLines("<a><b>1</b>")
      .map(({ text }) => text)
      .join(""),
    "<a><b>1</b>",
  );
});

test("a dump has sixteen bytes in a line and stops at its bound", () => {
  deepEqual(hexLines(new TextEncoder().encode("Mayfly\n")), ["000000  4d 61 79 66 6c 79 0a                              Mayfly."]);
  equal(hexLines(new Uint8Array(1_000_000)).length, limits.dumpBytes / 16);
});

function node(id: string): MapNode {
  const kind = id.split(":")[0] as MapNode["kind"];
  return { id, kind, label: id, ready: true, detail: "" };
}

test("the map's nodes overlap nowhere, and every edge between known nodes is drawn", () => {
  const ids = fc.uniqueArray(
    fc.tuple(fc.constantFrom("source", "flow", "outlet"), fc.nat(12)).map(([kind, n]) => `${kind}:${n}`),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(ids, fc.array(fc.tuple(fc.nat(29), fc.nat(29)), { maxLength: 40 }), (all, pairs) => {
      const edges = pairs.flatMap(([a, b]): MapEdge[] => {
        const [from, to] = [all[a], all[b]];
        return from === undefined || to === undefined ? [] : [{ from, to, perSecond: a, failing: false }];
      });
      const placed = layout({
        nodes: all.map(node),
        edges: [...edges, { from: "flow:none", to: "flow:none", perSecond: 1, failing: true }],
      });
      equal(new Set(placed.nodes.map(({ x, y }) => `${x} ${y}`)).size, all.length);
      const byColumn = new Map<number, number[]>();
      for (const { x, y } of placed.nodes) byColumn.set(x, [...(byColumn.get(x) ?? []), y]);
      for (const ys of byColumn.values())
        ys.sort((a, b) => a - b).forEach((y, index) => ok(index === 0 || y - (ys[index - 1] ?? 0) >= 46, "overlap"));
      equal(placed.edges.length, edges.length);
      ok(placed.edges.every(({ path }) => !path.includes("NaN")));
    }),
  );
  ok(edgeWidth(0) < edgeWidth(10) && edgeWidth(10) < edgeWidth(1_000) && edgeWidth(1e12) <= 14);
});

const summary: Summary = {
  id: "m1",
  flow: "orders",
  status: "done",
  receivedAt: 1_000,
  durationMs: 60,
  attempts: 2,
  source: "http",
  key: "C-1",
  correlationId: null,
  image: null,
  error: null,
};

test("a life in order: source, attempts with their steps and calls, commit, deliveries", () => {
  const attempt = (number: number, error: Detail["error"]): Detail["attempts"][number] => ({
    attempt: number,
    startedAt: 1_000 + number * 20,
    durationMs: 10,
    image: "0",
    seed: "0",
    steps: [{ event: "deliver", at: 1_000 + number * 20, status: error === null ? "done" : "failed", cpuMs: 1, pages: 3 }],
    calls: [],
    waits: [],
    logs: number === 1 ? [{ level: "warn", text: "x" }] : [],
    sends:
      error === null
        ? [{ outlet: "erp", key: null, contentType: "", headers: {}, body: { text: "" }, committedAt: 1_050, dueAt: null }]
        : [],
    state: {},
    reply: null,
    continues: null,
    error,
  });
  const detail: Detail = {
    ...summary,
    attempts: [attempt(1, { code: "NO", message: "no" }), attempt(2, null)],
    headers: {},
    contentType: "",
    body: { text: "" },
    state: null,
    deadLetter: null,
    redacted: null,
    outlets: [{ outlet: "erp", idempotencyKey: "k", attempt: 1, at: 1_055, durationMs: 5, status: "sent", error: null, deadLetter: null }],
    parents: [],
    children: [],
  };
  const { rows, startAt, endAt } = timelineOf(detail);
  deepEqual(
    rows.map(({ label, tone }) => `${label} ${tone}`),
    ["http calm", "attempt 1 bad", "step 1 bad", "log warn", "attempt 2 ok", "step 1 calm", "commit ok", "→ erp ok"],
  );
  deepEqual([startAt, endAt], [1_000, 1_060]);
  const wait = { name: "payment", key: "4711", at: 1_010, until: 2_000, endedAt: 1_045, signal: null, question: null };
  const slept = timelineOf({ ...detail, attempts: [{ ...attempt(1, null), waits: [wait, { ...wait, endedAt: null }] }] });
  deepEqual(
    slept.rows.filter(({ part }) => part.kind === "wait").map(({ label, note, tone, at, endAt }) => [label, note, tone, at, endAt]),
    [
      ["wait payment", "4711 → time is over", "warn", 1_010, 1_045],
      ["wait payment", "4711 → open", "calm", 1_010, undefined],
    ],
  );
  const none = timelineOf({ ...detail, attempts: [], outlets: [] });
  deepEqual([none.rows.length, none.endAt > none.startAt], [1, true]);
});

test("a search is read from the address, made into a query, and says which live messages are its own", () => {
  const search = readSearch(new URLSearchParams("flow=orders&text=a%26b&evil=1&since=24h&until=2026-01-31 14:00"));
  deepEqual(Object.keys(search), ["flow", "text", "since", "until"]);
  const query = new URLSearchParams(messagesPath(search, 10, "c").split("?")[1]);
  deepEqual([query.get("text"), query.get("since"), query.get("limit"), query.get("cursor")], ["a&b", "24h", "10", "c"]);
  equal(Number(query.get("until")), Date.parse("2026-01-31T14:00"));
  deepEqual([isLive({ flow: "orders" }), isLive({ text: "x" }), isLive({ until: "1h" })], [true, false, false]);
  deepEqual(
    [belongs(summary, { flow: "orders", key: "C-1" }), belongs(summary, { status: "dead" }), belongs(summary, { code: "NO" })],
    [true, false, false],
  );
});

test("sleepers: the search is an address and a query, what one waits for is said in short, its life is a message's", () => {
  const search = readSleeperSearch(new URLSearchParams("flow=orders&wait=payment&since=2026-01-02%2010:00&until=2d&other=x"));
  deepEqual(search, { flow: "orders", wait: "payment", since: "2026-01-02 10:00", until: "2d" });
  const query = new URL(sleepersPath(search, 50, "17"), "http://x").searchParams;
  deepEqual(
    [...query],
    [
      ["flow", "orders"],
      ["wait", "payment"],
      ["since", String(Date.parse("2026-01-02T10:00"))],
      ["until", "2d"],
      ["most", "50"],
      ["after", "17"],
    ],
  );
  equal(sleeperPath({ flow: "orders", id: "a/b?" }, "answer", { wait: "3" }), "/api/sleepers/a%2Fb%3F/answer?flow=orders&wait=3");
  const wait = { wait: 1, name: "payment", key: "k", until: null, question: null };
  const asked = { ...wait, name: "approval", question: { question: "Pay?", options: ["yes"] } };
  equal(waitsFor({ waits: [wait, asked], sleeps: ["2026-01-01T00:00:00Z"] }), "payment, Pay?, a time");
  const sleeper = {
    ...{ id: "m", flow: "orders", key: null, image: "i", received: "2026-01-01T00:00:00Z", since: "2026-01-01T00:00:05Z" },
    ...{
      until: "2026-01-02T00:00:00Z",
      waits: [wait],
      sleeps: [],
      transactions: 1,
      state: "asleep" as const,
      problem: null,
      source: "http",
    },
  };
  equal(lifeOf({ ...sleeper, message: null, timeline: null, logs: [] }), undefined);
  const startedAt = Date.parse("2026-01-01T00:00:01Z");
  const attempt = {
    ...{ attempt: 1, startedAt, durationMs: 0, image: "i", seed: "", steps: [], calls: [], waits: [], logs: [], sends: [], state: {} },
    ...{ reply: null, continues: null, error: null },
  };
  const life = lifeOf({ ...sleeper, message: { headers: {}, contentType: "", body: { text: "" } }, timeline: attempt, logs: [] });
  ok(life !== undefined);
  deepEqual([life.receivedAt, life.attempts[0]?.durationMs], [Date.parse("2026-01-01T00:00:00Z"), 4_000]);
  deepEqual(
    timelineOf(life).rows.map(({ id }) => id),
    ["source", "attempt-1", "commit"],
  );
});
