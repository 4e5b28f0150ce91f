/** Nodes of a cluster that are asked through one of them: recorded messages searched together, flows and outlets turned at all, queues added up. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import fc from "fast-check";
import { decodeRecording } from "#abi";
import type { Partition } from "./contract/cluster.ts";
import { historyAnswer, HistoryEverywhere, type HistorySearch } from "./history-elsewhere.ts";
import type { HistoryPage, HistoryQuery, MessageDetail, MessageSummary } from "./history/history.ts";
import { type Rig, until, withPeer } from "./testing/rig.ts";
import { done, type Script, send, text } from "./testing/scripted.ts";
import { type Two, withTwo } from "./testing/two-nodes.ts";

const yaml = `flows:
  orders:
    image: orders.mfi
    key: header:k
    from: [ { http: { path: /orders } } ]
    to: { erp: { http: { url: "http://127.0.0.1:9/" } } }`;
const reply: Script = (event) => (event.kind === "deliver" ? [done(text(event.body))] : undefined);
const scripts: Parameters<typeof withTwo>[1] = [{ orders: reply }, { orders: reply }];

/** A key of each node, once the second has half of the partitions. */
async function shareOut({ nodes: [one, two] }: Two): Promise<readonly [string, string]> {
  for (const partition of [2, 3] as Partition[]) {
    await one.release(partition);
    await two.take(partition);
  }
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
  const keyIn = (mine: readonly number[]): string =>
    keys.find((key) => mine.includes(one.journal.partitionOf({ flow: "orders", key, dedup: undefined }) ?? -1)) ?? "";
  return [keyIn([0, 1]), keyIn([2, 3])];
}

const post = (rig: Rig, key: string, body: string): Promise<Response> =>
  fetch(`${rig.url}/orders`, { method: "POST", body, headers: { k: key, "content-type": "text/plain" } });

async function json<T>(rig: Rig, path: string, init?: Parameters<Rig["admin"]>[1]): Promise<T> {
  return (await (await rig.admin(path, init)).json()) as T;
}

interface Page {
  readonly messages: readonly MessageSummary[];
  readonly next: string | null;
  readonly remarks: readonly string[];
}

test("messages that ended at any node are found, shown and given from each; one that does not answer is said", async () => {
  await withTwo(
    yaml,
    scripts,
    async (two) => {
      const [first, second] = two.rigs;
      const keys = await shareOut(two);
      for (let number = 0; number < 6; number++) equal((await post(first, keys[number % 2] ?? "", `body ${number}`)).status, 200);
      ok(first.runner.delivered.length === 3 && second.runner.delivered.length === 3, "each node ran its own");
      for (const rig of two.rigs) {
        const all = await until(async () => {
          const page = await json<Page>(rig, "/api/messages?limit=100");
          return page.messages.length === 6 && page;
        });
        deepEqual([all.next, all.remarks], [null, []]);
        const pages: string[] = [];
        for (let cursor: string | null = ""; cursor !== null; ) {
          const page: Page = await json<Page>(rig, `/api/messages?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
          pages.push(...page.messages.map(({ id }) => id));
          cursor = page.next;
        }
        deepEqual(
          pages,
          all.messages.map(({ id }) => id),
        );
        for (const [index, key] of keys.entries()) {
          const found = await json<Page>(rig, `/api/messages?key=${key}&text=${encodeURIComponent(`body ${index}`)}`);
          equal(found.messages.length, 1);
          const id = encodeURIComponent(found.messages[0]?.id ?? "");
          const detail = await json<MessageDetail>(rig, `/api/messages/${id}`);
          deepEqual([detail.body, detail.key], [{ text: `body ${index}` }, key]);
          const bytes = new Uint8Array(await (await rig.admin(`/api/messages/${id}/recording`)).arrayBuffer());
          const recording = decodeRecording(bytes);
          ok(recording.ok);
          equal(Buffer.from(recording.value.deliver.body).toString(), `body ${index}`);
        }
        equal((await rig.admin("/api/messages/nobody")).status, 404);
      }
      two.nodes[1].stopTaking(); // it answers no more
      const alone = await json<Page>(first, "/api/messages");
      equal(alone.messages.length, 3);
      match(alone.remarks.join(), /the node two does not answer: its messages are not here/);
    },
    { history: true },
  );
});

/** Messages of one node, by the times they came in, as its folder gives them: of one time the last written first. */
function searchOf(times: readonly number[], name: string): HistorySearch {
  const rows = times
    .map((receivedAt, index) => ({ id: `${name}${index}`, receivedAt, place: index }))
    .sort((a, b) => b.receivedAt - a.receivedAt || b.place - a.place);
  return {
    list: async ({ limit, cursor }: HistoryQuery): Promise<HistoryPage> => {
      const [t = Number.POSITIVE_INFINITY, place = Number.POSITIVE_INFINITY] = (cursor ?? "")
        .split("_")
        .flatMap((part) => (part === "" ? [] : [Number(part)]));
      const behind = rows.filter((row) => row.receivedAt < t || (row.receivedAt === t && row.place < place));
      const messages = behind.slice(0, limit) as unknown as MessageSummary[];
      const last = behind[limit - 1];
      return {
        messages,
        next: behind.length > limit && last !== undefined ? `${last.receivedAt}_${last.place}_0` : undefined,
        remarks: [],
      };
    },
    show: async () => undefined,
    recording: async () => undefined,
  };
}

test("pages of any length over nodes of any number have each message once, newest first", async () => {
  const times = fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.array(times, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 7 }), async (nodes, limit) => {
      const [own, ...others] = nodes.map((each, index) => searchOf(each, `n${index}-`));
      ok(own !== undefined);
      const cluster = {
        node: "n0",
        askOthers: async (question: object) => {
          const asked: unknown = JSON.parse(JSON.stringify(question));
          const answerOf = async (search: HistorySearch): Promise<unknown> =>
            JSON.parse(JSON.stringify(await historyAnswer(asked, () => search)));
          return await Promise.all(others.map(async (search, index) => ({ node: `n${index + 1}`, answer: await answerOf(search) })));
        },
      };
      const everywhere = new HistoryEverywhere(own, cluster);
      const found: MessageSummary[] = [];
      let cursor: string | undefined;
      do {
        const page: HistoryPage = await everywhere.list({ limit, cursor });
        ok(page.messages.length <= limit && (page.messages.length > 0 || page.next === undefined));
        found.push(...page.messages);
        cursor = page.next;
      } while (cursor !== undefined);
      equal(new Set(found.map(({ id }) => id)).size, nodes.flat().length);
      equal(found.length, nodes.flat().length);
      deepEqual(
        found.map(({ receivedAt }) => receivedAt),
        nodes.flat().sort((a, b) => b - a),
      );
    }),
  );
});

test("answers of another shape are no answers, and no cursor or question ends anything", async () => {
  const own = searchOf([1, 2], "a");
  for (const answer of [null, 1, "x", {}, { messages: 1 }, { messages: [{}] }, { messages: [{ id: 1, receivedAt: 2 }] }]) {
    const everywhere = new HistoryEverywhere(own, { node: "a", askOthers: async () => [{ node: "b", answer }] });
    const page = await everywhere.list({ limit: 10 });
    deepEqual([page.messages.length, page.remarks.length], [2, 1], JSON.stringify(answer));
    equal(await everywhere.show("x"), undefined);
    equal(await everywhere.recording("x"), undefined);
  }
  const damaged = ["x", "e30", Buffer.from('{"t":1,"seen":{"a":-1}}').toString("base64url")];
  const alone = new HistoryEverywhere(own, { node: "a", askOthers: async () => [] });
  for (const cursor of damaged) equal((await alone.list({ limit: 10, cursor })).messages.length, 2);
  await fc.assert(
    fc.asyncProperty(fc.anything(), async (question) => {
      const isOurs = typeof question === "object" && question !== null && "kind" in question && question.kind === "history";
      if (!isOurs) equal(await historyAnswer(question, () => own), undefined);
    }),
  );
});

test("a flow is paused, resumed and drained at all nodes through any, and an outlet too; a node that is silent is named", async () => {
  await withTwo(yaml, scripts, async (two) => {
    const [first, second] = two.rigs;
    const keys = await shareOut(two);
    const turn = (rig: Rig, path: string): Promise<Record<string, unknown>> => json(rig, `/api/flows/orders/${path}`, { method: "POST" });
    const paused = await turn(second, "pause");
    deepEqual(
      [paused["state"], paused["silent"], (paused["nodes"] as { node: string; state: string }[]).map(({ node, state }) => [node, state])],
      [
        "paused",
        [],
        [
          ["two", "paused"],
          ["one", "paused"],
        ],
      ],
    );
    for (const rig of two.rigs) for (const key of keys) equal((await post(rig, key, "x")).status, 503);
    await turn(first, "resume");
    for (const rig of two.rigs) for (const key of keys) equal((await post(rig, key, "x")).status, 200);
    const outlet = await turn(first, "outlets/erp/pause");
    equal(outlet["state"], "paused");
    const queue = await json<{ flows: { outlets: { outlet: string; paused: boolean }[] }[] }>(second, "/api/queue");
    deepEqual(
      queue.flows[0]?.outlets.map(({ outlet: name, paused: is }) => [name, is]),
      [["erp", true]],
    );
    two.nodes[0].stopTaking();
    const alone = await turn(second, "resume");
    deepEqual(alone["silent"], ["one"]);
    equal((await first.admin("/api/flows/none/pause", { method: "POST" })).status, 404);
  });
});

test("queues of all nodes are added up, and purged together", async () => {
  const waits: Script = (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 8_000 }] : undefined);
  const slow = `flows: { orders: { image: orders.mfi, concurrency: 1, key: "header:k", limits: { time: 50s }, from: [ { http: { path: /orders, mode: accept } } ] } }`;
  await withTwo(slow, [{ orders: waits }, { orders: waits }], async (two) => {
    const keys = await shareOut(two);
    for (let number = 0; number < 8; number++) equal((await post(two.rigs[0], keys[number % 2] ?? "", "x")).status, 202);
    for (const rig of two.rigs) {
      const flows = await until(async () => {
        const queue = await json<{ flows: { counts: Record<string, number>; messages: unknown[] }[] }>(rig, "/api/queue?flow=orders");
        return queue.flows[0]?.counts["running"] === 2 && queue.flows;
      });
      equal(flows.length, 1);
      equal(flows[0]?.messages.length, 8);
    }
    const purge = (dryRun: boolean): Promise<Record<string, unknown>> =>
      json(two.rigs[1], "/api/flows/orders/purge", { method: "POST", body: JSON.stringify({ dryRun }) });
    equal((await purge(true))["waiting"], 6);
    equal((await purge(false))["purged"], 6);
  });
});

test("machines that sleep at any node are listed, shown, woken and cancelled through each", async () => {
  const sleepy = `flows: { orders: { image: orders.mfi, key: "header:k", from: [ { http: { path: /orders, mode: accept } } ] } }`;
  const sleeps: Script = (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 3_600_000 }] : [done()]);
  await withTwo(sleepy, [{ orders: sleeps }, { orders: sleeps }], async (two) => {
    const keys = await shareOut(two);
    for (let number = 0; number < 6; number++) equal((await post(two.rigs[0], keys[number % 2] ?? "", "x")).status, 202);
    interface Sleepers {
      readonly sleepers: readonly { readonly id: string; readonly node: string; readonly key: string; readonly state: string }[];
      readonly next: string | null;
      readonly silent: readonly string[];
    }
    const listed = async (rig: Rig, most: number): Promise<Sleepers["sleepers"]> => {
      const found: Sleepers["sleepers"][number][] = [];
      for (let after: string | null = ""; after !== null; ) {
        const page: Sleepers = await json(rig, `/api/sleepers?most=${most}${after === "" ? "" : `&after=${after}`}`);
        found.push(...page.sleepers);
        after = page.next;
      }
      return found;
    };
    for (const rig of two.rigs) {
      const all = await until(async () => {
        const found = await listed(rig, 2);
        return found.length === 6 && found.every(({ state }) => state === "asleep") && found;
      });
      equal(new Set(all.map(({ id }) => id)).size, 6);
      deepEqual(
        all.filter(({ node }) => node === "one").map(({ key }) => key),
        [keys[0], keys[0], keys[0]],
      );
      equal((await listed(rig, 100)).length, 6);
      for (const { id, key } of all) equal((await json<{ key: string }>(rig, `/api/sleepers/${encodeURIComponent(id)}`)).key, key);
    }
    const [first, second] = two.rigs;
    const of = async (node: string): Promise<string> =>
      encodeURIComponent((await listed(first, 100)).find((each) => each.node === node)?.id ?? "");
    equal((await first.admin(`/api/sleepers/${await of("two")}/wake`, { method: "POST" })).status, 200);
    await until(async () => (await listed(second, 100)).length === 5);
    equal((await second.admin(`/api/sleepers/${await of("one")}/cancel`, { method: "POST" })).status, 200);
    await until(async () => (await listed(second, 100)).length === 4);
    equal((await first.admin("/api/sleepers/nobody/wake", { method: "POST" })).status, 404);
    equal((await first.admin("/api/sleepers?after=x")).status, 400);
    two.nodes[1].stopTaking();
    const alone: Sleepers = await json(first, "/api/sleepers?most=100");
    ok(alone.next !== null);
    deepEqual((await json<Sleepers>(first, `/api/sleepers?after=${alone.next}`)).silent, ["two"]);
    match(await (await first.admin("/api/sleepers/nobody")).text(), /two did not answer/);
  });
});

test("a link to a question opens at any node, shows what the owner would do, and takes one answer", async () => {
  const links: string[] = [];
  const peer = (request: IncomingMessage, response: ServerResponse): void => {
    let body = "";
    request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
    request.on("end", () => {
      links.push((JSON.parse(body) as { link: string }).link);
      response.end();
    });
  };
  const questionJson = JSON.stringify({ question: "Pay Ada?", options: ["pay", "reject"], to: "book" });
  const asks: Script = (event) =>
    event.kind === "deliver"
      ? [{ kind: "wait", wait: 1, name: "approval", key: text(event.body), dueMs: event.timeMs + 3_600_000, questionJson }]
      : [send("log", "paid"), done()];
  await withPeer(peer, async (url) => {
    const approving = `approvals: { url: "https://mayfly.example.com", key: "a secret of more than thirty-two characters" }
flows:
  orders:
    image: orders.mfi
    key: header:k
    from: [ { http: { path: /orders, mode: accept } } ]
    to: { book: { http: { url: "${url}" } }, log: { log: {} } }`;
    await withTwo(approving, [{ orders: asks }, { orders: asks }], async (two) => {
      const [first, second] = two.rigs;
      const keys = await shareOut(two);
      equal((await post(first, keys[1], "key of the wait")).status, 202);
      const link = await until(() => links[0]);
      const page = (rig: Rig, init?: RequestInit): Promise<Response> => fetch(link.replace("https://mayfly.example.com", rig.url), init);
      for (const rig of two.rigs) {
        const shown = await page(rig);
        equal(shown.status, 200);
        match(await shown.text(), /Pay Ada\?[^]*paid/);
      }
      const [sleeper] = (await json<{ sleepers: { id: string }[] }>(second, "/api/sleepers")).sleepers;
      const options = await json<{ question: { options: string[] } }>(
        first,
        `/api/sleepers/${encodeURIComponent(sleeper?.id ?? "")}/options?wait=1`,
      );
      deepEqual(options.question.options, ["pay", "reject"]);
      const form = { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "option=pay&by=Eve" };
      match(await (await page(first, form)).text(), /Your answer “pay” is kept safe, and the flow goes on/);
      await until(async () => (await page(second)).status === 410);
      equal((await page(first, form)).status, 410);
      equal((await page(first)).status, 410);
      two.nodes[1].stopTaking();
      equal((await page(first)).status, 503, "the question may be where nobody answers");
      equal((await fetch(`${first.url}/approve/forged`)).status, 404);
    });
  });
});

test("approvals in a cluster need a key, which all nodes have", async () => {
  await rejects(
    withTwo(`approvals: { url: "https://a" }\n${yaml}`, scripts, async () => undefined),
    {
      code: "MF_CLUSTER_UNSUPPORTED",
      message: /approvals without a key .*approvals\.key/,
    },
  );
});
