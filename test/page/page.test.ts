/** The page in a real Chromium, against a gateway that serves real traffic. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { violations } from "./axe.ts";
import { enter, openBrowser, openTab, type Tab, type TabOptions, withoutBrowser } from "./browser.ts";
import { openShop, order, type Shop, token } from "./shop.ts";

const skip = { skip: withoutBrowser };
/** A message that was sent is in history by then. */
const patienceMs = 20_000;
let shop: Shop;
let browser: Browser;

before(async () => {
  if (withoutBrowser !== false) return;
  shop = await openShop();
  await shop.traffic(0, 30);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await shop?.close();
});

/** A tab that has the token, closed at the end; nothing may have gone wrong in it. */
async function visit(options: TabOptions, run: (page: Page, tab: Tab) => Promise<void>): Promise<void> {
  const tab = await openTab(browser, options);
  try {
    await enter(tab.page, shop.page);
    await run(tab.page, tab);
    deepEqual(tab.errors, []);
  } finally {
    await tab.context.close();
  }
}

async function show(page: Page, hash: string): Promise<void> {
  await page.goto(`${shop.page}${hash}`);
  await page.locator("h1").first().waitFor();
}

function scroll(list: Locator, top: number): Promise<void> {
  return list.evaluate((element, to) => {
    (element as unknown as { scrollTop: number }).scrollTop = to;
  }, top);
}

async function letters(): Promise<number> {
  const answer = await fetch(`${shop.page}api/dead-letters/groups`, { headers: { authorization: `Bearer ${token}` } });
  return ((await answer.json()) as { readonly total: number }).total;
}

async function newest(flow: string, status: string): Promise<{ readonly id: string; readonly flow: string }> {
  for (const untilMs = Date.now() + patienceMs; Date.now() < untilMs; ) {
    const answer = await fetch(`${shop.page}api/messages?flow=${flow}&status=${status}&limit=1`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { messages } = (await answer.json()) as { readonly messages: readonly { readonly id: string; readonly flow: string }[] };
    if (messages[0] !== undefined) return messages[0];
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no ${status} message of ${flow} within ${patienceMs} ms`);
}

test("the page holds no data and forbids everything that is not its own", skip, async () => {
  const answer = await fetch(shop.page);
  equal(answer.status, 200);
  const policy = answer.headers.get("content-security-policy") ?? "";
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ])
    ok(policy.split("; ").includes(part), part);
  deepEqual(
    ["x-content-type-options", "referrer-policy", "cache-control", "x-frame-options"].map((name) => answer.headers.get(name)),
    ["nosniff", "no-referrer", "no-store", "DENY"],
  );
  const html = await answer.text();
  const assets = [...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, path]) => path as string);
  ok(assets.length >= 3);
  let bytes = 0;
  for (const path of assets) {
    const asset = await fetch(`${shop.page}${path}`, { headers: { "accept-encoding": "gzip" } });
    equal(asset.status, 200, path);
    match(asset.headers.get("cache-control") ?? "", /immutable/);
    bytes += Number(asset.headers.get("content-length"));
    ok(!/orders|invoices|A-47/.test(path));
  }
  ok(bytes < 150 * 1024, `${bytes} bytes compressed`);
  const plain = await fetch(`${shop.page}${assets.find((path) => path.endsWith(".css"))}`, { headers: { "accept-encoding": "identity" } });
  equal(plain.headers.get("content-encoding"), null);
  match(await plain.text(), /--accent/);
  equal((await fetch(`${shop.serving.url}/`)).status, 404, "the public listener has no page");
  equal((await fetch(`${shop.page}assets/..%2f..%2findex.html`)).status, 404);
});

test("without the token there is a form and nothing else; a wrong one is told; the right one is in no URL", skip, async () => {
  const tab = await openTab(browser);
  try {
    const { page } = tab;
    const seen: string[] = [];
    page.on("request", (request) => seen.push(request.url()));
    await page.goto(`${shop.page}#/messages`);
    await page.getByRole("heading", { name: "Admin token" }).waitFor();
    equal(/orders|invoices/.test(await page.locator("body").innerText()), false);
    deepEqual(
      seen.filter((url) => url.includes("/api/")),
      [],
    );
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("This is not the token").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByRole("navigation").waitFor();
    await page.reload();
    await page.getByRole("navigation").waitFor();
    equal(
      seen.some((url) => url.includes(token)),
      false,
    );
    deepEqual(await tab.context.cookies(), []);
    await page.getByRole("button", { name: "Leave" }).click();
    await page.getByRole("heading", { name: "Admin token" }).waitFor();
    equal(await page.evaluate("sessionStorage.length + Object.keys(localStorage).filter((name) => /token/.test(name)).length"), 0);
  } finally {
    await tab.context.close();
  }
});

const screens = ["#/overview", "#/map", "#/flows", "#/flows/orders", "#/messages", "#/sleepers", "#/dead-letters", "#/connectors"];

test("each screen shows the real traffic", skip, async () => {
  await visit({}, async (page) => {
    await show(page, "#/overview");
    await page.getByText("Needs attention").waitFor();
    await page
      .getByText(/circuit breaker/)
      .first()
      .waitFor();
    await page.getByRole("link", { name: "orders", exact: true }).first().waitFor();
    await show(page, "#/map");
    await page.getByRole("link", { name: /^stock .*, flow, not ready/ }).waitFor();
    await page.getByRole("link", { name: /^orders .*, flow, ready/ }).click();
    await page.getByRole("heading", { name: /orders/ }).waitFor();
    await page
      .getByRole("link", { name: "ERP_REFUSED" })
      .or(page.getByRole("link", { name: "ORDER_EMPTY" }))
      .first()
      .waitFor();
    await page.getByText("Newest messages").waitFor();
    await show(page, "#/connectors");
    await page.getByText(/503/).first().waitFor();
    await page.getByText(/^open, /).waitFor();
    await show(page, "#/flows/none");
    await page.getByText("There is no flow none.").waitFor();
    await show(page, "#/nowhere");
    await page.getByText("There is no such screen.").waitFor();
  });
});

test("a flow and an outlet are paused and go on", skip, async () => {
  await visit({}, async (page) => {
    await show(page, "#/flows/mails");
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("paused", { exact: true }).first().waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Drain" }).waitFor();
    await show(page, "#/connectors");
    const bank = page.getByRole("row").filter({ hasText: "bank" });
    await bank.getByRole("button", { name: "Pause" }).click();
    await bank.getByText("paused").waitFor();
    await bank.getByRole("button", { name: "Resume" }).click();
    await bank.getByText("ready").waitFor();
  });
});

test("a message's life: timeline, call, bodies, state, lineage; a dead one leads to its letter", skip, async () => {
  const { id } = await newest("orders", "done");
  await visit({}, async (page) => {
    await show(page, `#/messages/orders/${encodeURIComponent(id)}`);
    await page.getByRole("button", { name: /^request erp/ }).click();
    await page.getByRole("heading", { name: "Asked" }).waitFor();
    await page.getByRole("button", { name: /^commit/ }).click();
    await page.getByRole("rowheader", { name: "lastOrder" }).waitFor();
    await page.getByRole("button", { name: /^log \d line/ }).click();
    await page.getByText("order received").first().waitFor();
    await page
      .getByRole("link", { name: /^invoices/ })
      .first()
      .click();
    await page.getByRole("heading", { name: "Came from" }).waitFor();
    const dead = await newest("mails", "dead");
    await show(page, `#/messages/mails/${encodeURIComponent(dead.id)}`);
    await page.getByRole("button", { name: /^attempt 3 MF_FLOW_THREW/ }).waitFor();
    await page.getByRole("link", { name: "open" }).click();
    await page.getByRole("button", { name: "Edit and retry" }).waitFor();
  });
});

test("a replay says that it is identical, a flow test of the message is given to keep", skip, async () => {
  const { id } = await newest("orders", "done");
  await visit({}, async (page) => {
    await show(page, `#/messages/orders/${encodeURIComponent(id)}`);
    await page.getByRole("button", { name: "Replay", exact: true }).click();
    await page.getByText("identical", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Replay on newest" }).click();
    await page.getByText(/Nothing was sent/).waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Flow test" }).click()]);
    equal(file.suggestedFilename(), "orders.flow-test.yaml");
    match(readFileSync(await file.path(), "utf8"), /cases:/);
    // Differences of a newer image: before beside after.
    const differences = [
      { path: "reply.body.total", recorded: 24.8, replayed: "<b>25</b>" },
      { path: "sends[0]", recorded: { sku: "PEN-1" } },
    ];
    await page.route("**/replay?*", (route) =>
      route.fulfill({ json: { identical: false, differences, image: "f".repeat(64), monitor: "embedded" } }),
    );
    await page.getByRole("button", { name: "Replay on newest" }).click();
    await page.getByText("2 differences").waitFor();
    await page.getByRole("rowheader", { name: "reply.body.total" }).waitFor();
    await page.getByText("<b>25</b>").waitFor();
  });
});

test("resubmitted with another body a message is a new one, linked to the old", skip, async () => {
  const { id } = await newest("orders", "done");
  await visit({}, async (page) => {
    await show(page, `#/messages/orders/${encodeURIComponent(id)}`);
    await page.getByRole("button", { name: "Edit and resubmit" }).click();
    const field = page.getByRole("dialog").getByRole("textbox");
    await field.fill((await field.inputValue()).replace(/"qty": \d+/, '"qty": 77'));
    await page.getByRole("button", { name: "Resubmit edited" }).click();
    await page.getByText(/Resubmitted as/).waitFor();
    await page.getByText("77").first().waitFor();
    await page.getByRole("heading", { name: "Came from" }).waitFor();
    await page.getByText("by resubmit").waitFor();
  });
});

test("new messages appear at the top while one looks, and wait while one has scrolled", skip, async () => {
  await visit({ height: 700 }, async (page) => {
    await show(page, "#/messages?flow=orders");
    await page.getByRole("table", { name: "Messages" }).waitFor();
    await shop.post("/orders", { ...order(500), customer: { id: "live-1", name: "Live", address: "here" } });
    await page.getByRole("cell", { name: "live-1" }).waitFor();
    const list = page.getByRole("region", { name: "Messages" });
    await scroll(list, 400);
    await shop.post("/orders", { ...order(501), customer: { id: "live-2", name: "Live", address: "here" } });
    await page.getByRole("button", { name: /^\d+ new/ }).click();
    await scroll(list, 0);
    await page.getByRole("cell", { name: "live-2" }).waitFor();
    await page.getByRole("button", { name: "Live" }).click();
    await page.getByRole("button", { name: "Live", pressed: false }).waitFor();
  });
});

test("letters are retried together after a preview, and dropped one by one", skip, async () => {
  await visit({}, async (page) => {
    await show(page, "#/dead-letters");
    const before = await letters();
    const group = page.getByRole("row").filter({ hasText: "INVOICE_ADDRESS" }).first();
    const count = Number(await group.locator("td").first().innerText());
    ok(count > 0 && before >= count);
    await group.getByRole("button", { name: "Drop…" }).click();
    await page.getByRole("dialog").getByText(`${count} letter`).first().waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    equal(await letters(), before, "a preview does nothing");
    await group.getByRole("button", { name: "Retry…" }).click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: `Retry ${count}` })
      .click();
    await page
      .getByRole("dialog")
      .getByText(/(taken up|dead again)/)
      .waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
    await page.getByRole("link", { name: "INVOICE_ADDRESS" }).first().click();
    await page.locator("a[href^='#/dead-letters/']").first().click();
    await page.getByRole("button", { name: "Edit and retry" }).waitFor(); // the letter's page: the list has a Drop… in each row
    await page.getByRole("button", { name: "Drop…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Drop" }).click();
    await page.getByText("Dropped").waitFor();
  });
});

test("an edited letter goes well", skip, async () => {
  await visit({}, async (page) => {
    await show(page, "#/dead-letters?flow=invoices");
    const before = await letters();
    await page.locator("a[href^='#/dead-letters/invoices']").first().click();
    await page.getByRole("button", { name: "Edit and retry" }).click();
    const field = page.getByRole("dialog").getByRole("textbox");
    await field.fill((await field.inputValue()).replace('"name"', '"address": "1 Analytical Row", "name"'));
    await page.getByRole("button", { name: "Retry edited" }).click();
    await page.getByText("Retried: done").waitFor();
    equal(await letters(), before - 1);
  });
});

const markup = `<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>"'\`{{7*7}}`;

test("markup in a body, a header, a key and an error stays text", skip, async () => {
  const evil = { id: "x1", customer: { id: markup, name: markup, address: markup }, lines: [{ sku: markup, qty: 1, price: 1 }] };
  await shop.post("/orders", evil, { "x-evil": '<img src=x onerror="window.stolen=1">' });
  await shop.post("/stock", `sku,qty\n${markup},1\n`);
  await shop.post("/mails", { to: markup, attempts: 9 });
  await visit({}, async (page) => {
    await show(page, `#/messages?key=${encodeURIComponent(markup)}`);
    await page.locator("a[href^='#/messages/orders']").first().click();
    await page.getByRole("button", { name: /^http/ }).click();
    await page.getByText("x-evil").waitFor();
    await page.getByText('<img src=x onerror="window.stolen=1">').first().waitFor();
    for (const way of ["Text", "Hex", "JSON"]) await page.getByRole("button", { name: way, exact: true }).first().click();
    const mail = await newest("mails", "dead");
    for (const hash of [
      `#/messages/mails/${encodeURIComponent(mail.id)}`,
      `#/messages?text=${encodeURIComponent("onerror")}`,
      "#/dead-letters",
      `#/flows/${encodeURIComponent(markup)}`,
      `#/messages/${encodeURIComponent(markup)}/${encodeURIComponent(markup)}`,
    ]) {
      await show(page, hash);
      await page.locator(".loading").first().waitFor({ state: "detached" });
    }
    equal(await page.evaluate("window.stolen"), undefined);
    equal(await page.locator("img, script:not([type=module])").count(), 0);
  });
});

test("a hundred thousand rows: few are in the page, the last is reached, the keyboard moves", skip, async () => {
  await visit({}, async (page) => {
    const total = 100_000;
    await page.route("**/api/messages?*", async (route) => {
      const query = new URL(route.request().url()).searchParams;
      const from = Number(query.get("cursor") ?? 0);
      const messages = Array.from({ length: Math.min(Number(query.get("limit")) * 20, total - from) }, (_, index) => ({
        id: `m-${from + index}`,
        flow: "orders",
        status: "done",
        receivedAt: 1_700_000_000_000 - from - index,
        durationMs: 5,
        attempts: 1,
        source: "http",
        key: null,
        correlationId: null,
        image: null,
        error: null,
      }));
      const next = from + messages.length < total ? String(from + messages.length) : null;
      await route.fulfill({ json: { messages, next, remarks: [] } });
    });
    await show(page, "#/messages?since=9d");
    const list = page.getByRole("region", { name: "Messages" });
    const inPage = async (): Promise<number> => page.locator(".virtual-row").count();
    await page.getByRole("link", { name: "m-0", exact: true }).waitFor();
    for (let tries = 0; (await list.getByRole("table").getAttribute("aria-rowcount")) !== String(total + 1); tries += 1) {
      ok(tries < 1_000, "the end does not come into sight");
      await scroll(list, Number.MAX_SAFE_INTEGER);
      ok((await inPage()) < 100);
    }
    await scroll(list, Number.MAX_SAFE_INTEGER);
    await page.getByRole("link", { name: `m-${total - 1}`, exact: true }).waitFor();
    ok((await inPage()) < 100);
    for (const row of [10_000, 90_000, 50_000]) {
      await scroll(list, row * 34);
      await page.getByRole("link", { name: `m-${row + 3}`, exact: true }).waitFor();
    }
    await scroll(list, 0);
    for (const key of ["j", "j", "j", "k"]) await page.keyboard.press(key);
    await page.locator(".virtual-row.chosen", { hasText: "m-1" }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/messages\/orders\/m-1$/);
  });
});

/** The id of a sleeping refund of this order, once it sleeps and waits for the signal. */
async function sleepingRefund(order: string, signal: string): Promise<string> {
  for (const untilMs = Date.now() + patienceMs; Date.now() < untilMs; ) {
    const { sleepers } = await shop.serving.gateway.sleepers.list({ flow: "refunds", most: 100 });
    const found = sleepers.find(
      ({ key, state, waits }) => key === order && state === "asleep" && waits.some(({ name }) => name === signal),
    );
    if (found !== undefined) return found.id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no refund of ${order} waits for ${signal} within ${patienceMs} ms`);
}

test(
  "a sleeping message: found, looked into, its question answered after a look at what each answer sends, then signalled",
  skip,
  async () => {
    for (const order of ["R-1", "R-2"]) await shop.post("/refunds", { order, customer: "<b>Ada</b>", cents: 1250 });
    const id = await sleepingRefund("R-1", "approval");
    await sleepingRefund("R-2", "approval");
    await visit({}, async (page) => {
      await show(page, "#/sleepers?flow=refunds");
      await page.getByText("Refund 12.50 € to <b>Ada</b>?").nth(1).waitFor();
      await show(page, "#/sleepers?flow=refunds&key=R-1");
      await page.getByText("1 sleeping message").waitFor();
      await page.getByRole("link", { name: id, exact: true }).click();
      await page.getByRole("heading", { name: "Refund 12.50 € to <b>Ada</b>?" }).waitFor();
      await page.getByText("refund asked for").first().waitFor();
      await page.getByRole("button", { name: /commit/ }).waitFor();
      const option = page.locator(".option", { has: page.getByRole("heading", { name: "refund", exact: true }) });
      await option.getByRole("heading", { name: "→ cashier" }).waitFor();
      await option.getByText(/Then it waits for parcel \(key R-1\)/).waitFor();
      await page.getByText("If nobody answers").waitFor();
      await option.getByRole("button", { name: "refund…" }).click();
      await page.getByLabel("Your name (optional)").fill("Grace");
      await page.getByRole("button", { name: "Answer refund" }).click();
      await page.getByText("Answered: refund").waitFor();
      await sleepingRefund("R-1", "parcel");
      await page.getByRole("heading", { name: "Waits for" }).waitFor();
      await page.getByRole("cell", { name: "parcel" }).waitFor();
      await page.getByRole("button", { name: "Signal…" }).click();
      await page.getByLabel(/^Body/).fill('{"state":"opened"}');
      await page.getByRole("button", { name: "What would happen" }).click();
      await page.getByText("Then it is done.").waitFor();
      await page.getByRole("button", { name: "Signal parcel" }).click();
      await page.getByRole("heading", { name: `No message ${id} sleeps.` }).waitFor();
      await newest("refunds", "done");
    });
  },
);

test("a sleeping message is woken, and cancelled, after a question", skip, async () => {
  for (const order of ["R-3", "R-4"]) await shop.post("/refunds", { order, customer: "Ada", cents: 5 });
  const [woken, cancelled] = [await sleepingRefund("R-3", "approval"), await sleepingRefund("R-4", "approval")];
  await visit({}, async (page) => {
    await show(page, `#/sleepers/refunds/${encodeURIComponent(woken)}`);
    await page.getByRole("button", { name: "Wake…" }).click();
    await page.getByRole("button", { name: "Wake", exact: true }).click();
    await page.getByRole("heading", { name: `No message ${woken} sleeps.` }).waitFor();
    await show(page, `#/sleepers/refunds/${encodeURIComponent(cancelled)}`);
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.getByRole("button", { name: "No", exact: true }).click();
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.getByRole("button", { name: "Cancel it" }).click();
    await page.getByRole("heading", { name: `No message ${cancelled} sleeps.` }).waitFor();
    await show(page, "#/dead-letters?flow=refunds");
    await page.locator("a[href^='#/dead-letters/refunds']").first().click();
    await page.getByText("a retry goes on from its wait").waitFor();
  });
  const { letters } = (await (
    await fetch(`${shop.page}api/dead-letters?flow=refunds`, { headers: { authorization: `Bearer ${token}` } })
  ).json()) as { readonly letters: readonly { readonly code: string; readonly messageId: string }[] };
  deepEqual(
    letters.map(({ code, messageId }) => [code, messageId]),
    [["MF_CANCELLED_BY_OPERATOR", cancelled]],
  );
});

for (const [theme, width] of [
  ["dark", 1440],
  ["light", 390],
] as const)
  test(
    `the page behind a link, ${theme}, ${width} px: styled under its own policy, accessible, answered without a script`,
    skip,
    async () => {
      const order = `L-${theme}`;
      const customer = `<img src=x onerror="window.stolen = 1"> ${theme}`;
      await shop.post("/refunds", { order, customer, cents: 700 });
      const id = await sleepingRefund(order, "approval");
      const question = `Refund 7.00 € to ${customer}?`;
      for (const untilMs = Date.now() + patienceMs; !shop.questions.has(question) && Date.now() < untilMs; )
        await new Promise((resolve) => setTimeout(resolve, 20));
      const tab = await openTab(browser, { theme, width, height: 844 });
      try {
        const { page } = tab;
        await page.goto(`${shop.serving.url}${shop.questions.get(question)}`);
        await page.getByRole("heading", { name: question, level: 1 }).waitFor();
        equal(await page.evaluate("getComputedStyle(document.querySelector('section')).borderTopStyle"), "solid", "its style is let in");
        const excess = (await page.evaluate("document.documentElement.scrollWidth - innerWidth")) as number;
        ok(excess <= 0, "nothing is wider than the window");
        deepEqual(await violations(page), []);
        await page.getByText("Sends to cashier").waitFor();
        await page.getByLabel(/^Your name/).fill("Grace");
        await page.getByLabel(/^Your name/).press("Enter");
        await sleepingRefund(order, "approval");
        await page.getByRole("heading", { name: question, level: 1 }).waitFor();
        await page.getByRole("button", { name: "refund", exact: true }).click();
        await page.getByRole("heading", { name: "Thank you" }).waitFor();
        deepEqual(await violations(page), []);
        await page.goBack();
        await page.goto(`${shop.serving.url}${shop.questions.get(question)}`);
        await page.getByRole("heading", { name: "This question is closed" }).waitFor();
        equal(await page.evaluate("window.stolen"), undefined);
        deepEqual(tab.errors, []);
      } finally {
        await tab.context.close();
      }
      equal(await sleepingRefund(order, "parcel"), id);
    },
  );

test("the keyboard goes everywhere", skip, async () => {
  await visit({}, async (page) => {
    for (const [key, name] of [
      ["m", "Map"],
      ["f", "Flows"],
      ["h", "Messages"],
      ["s", "Sleepers"],
      ["d", "Dead letters"],
      ["c", "Connectors"],
      ["o", "Overview"],
    ] as const) {
      await page.keyboard.press("g");
      await page.keyboard.press(key);
      await page.getByRole("heading", { name, exact: true, level: 1 }).waitFor();
    }
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("heading", { name: "Keyboard" }).waitFor({ state: "detached" });
    await page.keyboard.press("g");
    await page.keyboard.press("f");
    await page.getByRole("heading", { name: "Flows", exact: true, level: 1 }).waitFor();
    await page.getByRole("link", { name: "stock", exact: true }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("bank");
    await page.getByRole("link", { name: "stock", exact: true }).waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/flows\/invoices$/);
  });
});

for (const theme of ["dark", "light"] as const)
  for (const width of [1440, 390])
    test(`axe finds nothing, and nothing is wider than the window: ${theme}, ${width} px`, skip, async () => {
      const message = await newest("orders", "done");
      const dead = await newest("mails", "dead");
      await shop.post("/refunds", { order: `R-${theme}-${width}`, customer: "Ada", cents: 5 });
      const sleeper = await sleepingRefund(`R-${theme}-${width}`, "approval");
      await visit({ theme, width, height: 844 }, async (page) => {
        const lives = [message, dead].map(({ flow, id }) => `#/messages/${flow}/${encodeURIComponent(id)}`);
        const paths = [...lives, `#/sleepers/refunds/${encodeURIComponent(sleeper)}`];
        for (const hash of [...screens, ...paths, "#/messages?text=nothing-has-this"]) {
          await show(page, hash);
          await page.locator(".loading").first().waitFor({ state: "detached" });
          deepEqual(await violations(page), [], hash);
          const excess = (await page.evaluate("document.documentElement.scrollWidth - innerWidth")) as number;
          ok(excess <= 0, `${hash} is too wide`);
        }
        await show(page, "#/dead-letters");
        await page.getByRole("button", { name: "Retry…" }).first().click();
        await page.locator(".preview").waitFor();
        deepEqual(await violations(page), [], "dialog");
      });
    });

test("the page says when the gateway is gone, and goes on once it is back", skip, async () => {
  await visit({}, async (page) => {
    await page.context().setOffline(true);
    await page.evaluate("location.hash = '#/map'");
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await page.context().setOffline(false);
    await page.getByRole("link", { name: /^orders .*, flow/ }).waitFor();
  });
});
