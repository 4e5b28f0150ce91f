/** The endpoints of recorded messages, with real messages and a real folder. */
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { decodeRecording, type Effect } from "#abi";
import type { MessageDetail, MessageSummary } from "../history/history.ts";
import { done, fail, log, send, text } from "../testing/scripted.ts";
import { until, withGateway } from "../testing/rig.ts";

const yaml = `flows:
  orders:
    image: orders.mfi
    key: json:/id
    retry: { attempts: 1 }
    from: [ { http: { path: /orders } } ]
    to: { billing: { flow: { name: billing } } }
  billing: { image: billing.mfi, history: { redact: { paths: [/total] } } }`;

const scripts: Parameters<typeof withGateway>[1] = {
  orders: (event) => {
    if (event.kind !== "deliver") return [];
    if (text(event.body).includes("13")) return [log("trouble"), fail("UNLUCKY", "no luck", false)];
    return [log("priced"), send("billing", '{"total":"42 secrets"}'), done(event.headersJson.includes("s3cret") ? "known" : "stranger")];
  },
  billing: () => [done()],
};

const options = { history: true };

interface Page {
  readonly messages: MessageSummary[];
  readonly next: string | null;
}

test("messages are found, shown, and given as recording and body; another flow's send is linked both ways", async () => {
  await withGateway(
    yaml,
    scripts,
    async ({ url, admin }) => {
      const headers = { "content-type": "application/json", authorization: "Bearer s3cret", "x-tenant": "acme" };
      await fetch(`${url}/orders`, { method: "POST", headers, body: '{"id":4711}' });
      await fetch(`${url}/orders`, { method: "POST", headers, body: '{"id":13}' });
      const list = async (query: string): Promise<MessageSummary[]> =>
        ((await (await admin(`/api/messages?${query}`)).json()) as Page).messages;
      await until(async () => (await list("flow=billing")).length === 1);
      equal((await list("limit=10")).length, 3);
      deepEqual(
        (await list("status=dead&code=UNLUCKY")).map(({ key, error }) => [key, error?.code]),
        [["13", "UNLUCKY"]],
      );
      equal((await list("header=X-Tenant:acme&text=priced&since=1h")).length, 1);
      equal((await list("until=1h")).length, 0);
      const id = (await list("key=4711"))[0]?.id ?? "";
      const detail = (await (await admin(`/api/messages/${id}?flow=orders`)).json()) as MessageDetail;
      deepEqual([detail.status, detail.body, detail.headers["authorization"]], ["done", { text: '{"id":4711}' }, "[redacted]"]);
      equal(detail.children[0]?.flow, "billing");
      const child = (await (await admin(`/api/messages/${encodeURIComponent(detail.children[0]?.id ?? "")}`)).json()) as MessageDetail;
      deepEqual(child.parents, [{ flow: "orders", id, how: "send" }]);
      deepEqual([child.body, child.redacted?.paths], [{ text: '{"total":"[redacted]"}' }, ["/total"]]);
      const recording = decodeRecording(new Uint8Array(await (await admin(`/api/messages/${id}/recording`)).arrayBuffer()));
      equal(recording.ok && recording.value.deliver.id, id);
      equal(await (await admin(`/api/messages/${id}/body`)).text(), '{"id":4711}');
      const first = (await (await admin("/api/messages?limit=2")).json()) as Page;
      const second = (await (await admin(`/api/messages?limit=2&cursor=${first.next}`)).json()) as Page;
      deepEqual([first.messages.length, second.messages.length, second.next], [2, 1, null]);
    },
    options,
  );
});

test("a message is resubmitted as a new one with the recorded body or another, without what was hidden, and says how it ended", async () => {
  await withGateway(
    yaml,
    scripts,
    async ({ url, admin, runner }) => {
      const headers = { "content-type": "application/json", authorization: "Bearer s3cret" };
      await fetch(`${url}/orders`, { method: "POST", headers, body: '{"id":13}' });
      const post = async (path: string, body?: string): Promise<Record<string, never>> =>
        (await (await admin(path, { method: "POST", ...(body === undefined ? {} : { body }) })).json()) as Record<string, never>;
      const [{ id } = { id: "" }] = ((await (await admin("/api/messages")).json()) as Page).messages;
      const again = await post(`/api/messages/${id}/resubmit`);
      deepEqual([again["outcome"]?.["status"], again["parent"]], ["dead", { how: "resubmit", flow: "orders", id }]);
      const fixed = await post(`/api/messages/${id}/resubmit?flow=orders`, '{"id":14}');
      deepEqual([fixed["outcome"]?.["status"], fixed["outcome"]?.["reply"]?.["body"]], ["done", { text: "stranger" }]);
      const events = runner.delivered.filter(({ source }) => source === "direct");
      deepEqual(
        events.map(({ body }) => text(body)),
        ['{"id":13}', '{"id":14}'],
      );
      const newest = (await (await admin(`/api/messages/${fixed["id"]}`)).json()) as MessageDetail;
      deepEqual(newest.parents, [{ flow: "orders", id, how: "resubmit" }]);
      equal(((await (await admin(`/api/messages/${id}`)).json()) as MessageDetail).children.length, 2);
    },
    options,
  );
});

test("nobody forges a parent: what callers and flows claim is dropped", async () => {
  const forged = { ...send("billing", "{}"), headersJson: '{"mayfly-parent":"send orders forged"}' } as Effect;
  const forging: Parameters<typeof withGateway>[1] = {
    ...scripts,
    orders: (event) => (event.kind === "deliver" ? [forged, done()] : []),
  };
  await withGateway(
    yaml,
    forging,
    async ({ admin, gateway }) => {
      const outcome = await gateway.inject("orders", {
        body: Buffer.from('{"id":1}'),
        headers: { "mayfly-parent": "send x y" },
        wait: true,
      });
      const page = async (): Promise<Page> => (await (await admin("/api/messages?flow=billing")).json()) as Page;
      await until(async () => (await page()).messages.length === 1);
      const child = (await page()).messages[0]?.id ?? "";
      deepEqual(((await (await admin(`/api/messages/${encodeURIComponent(child)}`)).json()) as MessageDetail).parents, [
        { flow: "orders", id: outcome.id, how: "send" },
      ]);
      deepEqual(((await (await admin(`/api/messages/${outcome.id}`)).json()) as MessageDetail).parents, []);
    },
    options,
  );
});

test("what can't be done says why: unknown ids, hidden bodies, no history, no replay, malformed queries", async () => {
  await withGateway(
    yaml,
    scripts,
    async ({ url, admin }) => {
      await fetch(`${url}/orders`, { method: "POST", body: '{"id":1}' });
      const told = async (path: string, method = "GET"): Promise<unknown> => {
        const answer = await admin(path, { method });
        const { code } = (await answer.json()) as { code: string };
        return [answer.status, code];
      };
      deepEqual(await told("/api/messages/none"), [404, "MF_MESSAGE_UNKNOWN"]);
      deepEqual(await told("/api/messages/none/body"), [404, "MF_MESSAGE_UNKNOWN"]);
      deepEqual(await told("/api/messages/none/resubmit", "POST"), [404, "MF_MESSAGE_UNKNOWN"]);
      for (const query of ["limit=0", "since=yesterday", "status=fine", "header=x", "unknown=1", "limit=1&limit=2"])
        deepEqual(await told(`/api/messages?${query}`), [400, "MF_QUERY_INVALID"], query);
      const page = async (): Promise<Page> => (await (await admin("/api/messages?flow=billing")).json()) as Page;
      await until(async () => (await page()).messages.length === 1);
      const child = encodeURIComponent((await page()).messages[0]?.id ?? "");
      deepEqual(await told(`/api/messages/${child}/resubmit`, "POST"), [409, "MF_HISTORY_REDACTED"]);
      deepEqual(await told(`/api/messages/${child}/replay`, "POST"), [501, "MF_REPLAY_MISSING"]);
    },
    options,
  );
  await withGateway(yaml, scripts, async ({ admin }) => {
    const answer = await admin("/api/messages");
    equal(answer.status, 404);
    match(await answer.text(), /MF_HISTORY_OFF.*enabled/);
  });
});

test("the ends of messages are events for who listens", async () => {
  await withGateway(
    yaml,
    scripts,
    async ({ url, admin }) => {
      const stream = await admin("/api/events");
      const reader = stream.body?.getReader();
      let received = "";
      const listening = (async () => {
        for (;;) {
          const chunk = await reader?.read();
          if (chunk === undefined || chunk.done) return;
          received += Buffer.from(chunk.value as Uint8Array).toString();
        }
      })();
      await until(() => received.includes("event: overview"));
      await fetch(`${url}/orders`, { method: "POST", body: '{"id":13}' });
      await until(() => /event: message\ndata: \{.*"status":"dead".*\}/.test(received));
      await reader?.cancel();
      await listening;
    },
    options,
  );
});
