/** Questions to people, from a flow's `approve` over a message with a link to the answer, in a gateway that serves. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

const flowSource = `import { flow } from "mayfly";
export default flow<"mail" | "bank">(async (msg, { to, approve, log }) => {
  const { payee, cents } = msg.json<{ payee: string; cents: number }>();
  log.info("asking", { payee });
  const choice = await approve("Pay " + cents / 100 + " € to " + payee + "?", { options: ["pay", "reject"], to: "mail", timeout: "2d" });
  if (choice === "pay") to.bank.send({ payee, cents });
});`;

const yaml = (peers: string, url: string, more: string): string => `http: { port: 0, admin: { port: 0, token: t } }
journal: { memory: true }
deadLetters: { dir: dead }
drain: 2s
${url}
flows:
  payments:
    flow: flows/payments.ts
    from: [ { http: { path: /payments, mode: accept } } ]
    to:
      mail: { http: { url: "${peers}/mail" } }
      bank: { http: { url: "${peers}/bank" } }
${more}`;

interface World {
  readonly serving: Serving;
  /** Bodies that peers got, by path. */
  readonly got: { readonly path: string; readonly body: Record<string, unknown> }[];
  next(path: string): Promise<Record<string, unknown>>;
  admin(path: string, init?: RequestInit): Promise<Response>;
}

async function withPayments(url: string, run: (world: World) => Promise<void>, more = ""): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-approvals-"));
  const got: World["got"] = [];
  let told: () => void = () => undefined;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      got.push({ path: request.url ?? "", body: JSON.parse(body) as Record<string, unknown> });
      response.end();
      told();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const peers = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const [name, text] of Object.entries({
    "package.json": "{}",
    "flows/payments.ts": flowSource,
    "mayfly.yaml": yaml(peers, url, more),
  })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  try {
    const serving = await serve({ file: join(folder, "mayfly.yaml"), logger: silentLogger });
    try {
      await run({
        serving,
        got,
        next: async (path) => {
          for (;;) {
            const found = got.find((each) => each.path === path);
            if (found !== undefined) return found.body;
            await new Promise<void>((resolve) => (told = resolve));
          }
        },
        admin: (path, init = {}) =>
          fetch(`http://127.0.0.1:${serving.gateway.admin.address?.port}${path}`, { ...init, headers: { authorization: "Bearer t" } }),
      });
    } finally {
      await serving.stop();
    }
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const ask = ({ serving }: World): Promise<Response> =>
  fetch(`${serving.url}/payments`, { method: "POST", body: '{"payee":"Ada","cents":400000}', headers: { "mayfly-message-id": "p-1" } });

test("a link arrives with the question, shows what each answer does, takes one, and the flow goes on", { timeout: 60_000 }, async () => {
  await withPayments("approvals: { url: 'https://mayfly.example.com' }", async (world) => {
    equal((await ask(world)).status, 202);
    const { link, question, options, flow, until } = await world.next("/mail");
    deepEqual([question, options, flow], ["Pay 4000 € to Ada?", ["pay", "reject"], "payments"]);
    ok(Date.parse(String(until)) > Date.now() + 86_400_000);
    const path = new URL(String(link)).pathname;
    const page = await (await fetch(world.serving.url + path)).text();
    match(page, /Sends to <bdi>bank<\/bdi>/);
    match(page, /&quot;cents&quot;: 400000/);
    deepEqual(
      world.got.map((each) => each.path),
      ["/mail"],
      "to look is to do nothing",
    );
    const answer = await fetch(world.serving.url + path, { method: "POST", body: new URLSearchParams({ option: "pay", by: "Grace" }) });
    equal(answer.status, 200);
    deepEqual(await world.next("/bank"), { payee: "Ada", cents: 400000 });
    const again = await fetch(world.serving.url + path, { method: "POST", body: new URLSearchParams({ option: "reject" }) });
    equal(again.status, 410);
    deepEqual(
      world.got.map((each) => each.path),
      ["/mail", "/bank"],
    );
  });
});

test("an operator sees the question with its previews, and answers it", { timeout: 60_000 }, async () => {
  await withPayments("approvals: { url: 'https://mayfly.example.com' }", async (world) => {
    await ask(world);
    const { id } = await world.next("/mail");
    const at = `/api/sleepers/${encodeURIComponent(String(id))}`;
    const options = await world.admin(`${at}/options?flow=payments&wait=1`);
    equal(options.status, 200);
    const shown = (await options.json()) as {
      options: { option: string; preview: { sends: { outlet: string; body: { text: string } }[]; end: { kind: string } } }[];
    };
    deepEqual(
      shown.options.map(({ option, preview }) => [option, preview.sends.map(({ outlet }) => outlet), preview.end.kind]),
      [
        ["pay", ["bank"], "done"],
        ["reject", [], "done"],
      ],
    );
    const what = await world.admin(`${at}/preview?wait=1&timeout=true`, { method: "POST" });
    deepEqual(((await what.json()) as { sends: unknown[] }).sends, []);
    equal((await world.admin(`${at}/answer?wait=1`, { method: "POST", body: '{"option":"steal"}' })).status, 409);
    equal((await world.admin(`${at}/answer?wait=1`, { method: "POST", body: "pay" })).status, 400);
    equal((await world.admin(`${at}/answer?wait=2`, { method: "POST", body: '{"option":"pay"}' })).status, 404);
    equal((await fetch(`http://127.0.0.1:${world.serving.gateway.admin.address?.port}${at}/options?wait=1`)).status, 401);
    equal((await world.admin(`${at}/answer?wait=1`, { method: "POST", body: '{"option":"pay","by":"Grace"}' })).status, 202);
    deepEqual(await world.next("/bank"), JSON.parse(shown.options[0]?.preview.sends[0]?.body.text ?? ""), "what was shown is what is sent");
  });
});

test("without a URL for people a link leads to where the gateway listens; the page is there from the first question on", {
  timeout: 60_000,
}, async () => {
  await withPayments("", async (world) => {
    equal((await fetch(`${world.serving.url}/approve/x`)).status, 404);
    equal((await (await fetch(`${world.serving.url}/approve/x`)).text()).includes("link"), false, "nobody was asked: there is no page");
    await ask(world);
    const link = String((await world.next("/mail"))["link"]);
    ok(link.startsWith(`${world.serving.url}/approve/`), link);
    const page = await fetch(link);
    equal(page.status, 200);
    match(await page.text(), /Pay/);
  });
});

test("a flow that has the path of the pages: no link leads to it; with `approvals` it is a fault of the configuration", {
  timeout: 60_000,
}, async () => {
  const more = `  approve:
    flow: flows/payments.ts
    retry: { attempts: 1 }
    from: [ { http: { path: "/approve/*" } } ]
    to: { mail: { log: {} }, bank: { log: {} } }
`;
  await withPayments(
    "",
    async (world) => {
      await ask(world);
      for (;;) {
        const overview = (await (await world.admin("/api/flows/payments")).json()) as { failures: { code: string }[] };
        if (overview.failures.some(({ code }) => code === "MF_ROUTE_TAKEN")) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      deepEqual(world.got, []);
    },
    more,
  );
  await rejects(
    withPayments("approvals: { url: 'https://mayfly.example.com' }", () => Promise.resolve(), more),
    /\/approve\/ has the pages of `approvals`/,
  );
});
