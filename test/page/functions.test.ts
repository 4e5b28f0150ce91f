/** Functions in the page, in a real Chromium: a tenant writes one, tries it, deploys it and looks after it; the operator sees all tenants. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";
import { violations } from "./axe.ts";
import { enter, openBrowser, openTab, type TabOptions, withoutBrowser } from "./browser.ts";
import { token } from "./shop.ts";

const skip = { skip: withoutBrowser };
const acme = "acme-key-0123456789abcdef";
const reader = "acme-reader-0123456789abcdef";

const yaml = `http: { port: 0, admin: { port: 0, token: ${token} } }
journal: { dir: journal }
deadLetters: { dir: dead }
drain: 2s
functions: { tenants: tenants.yaml }
flows: {}
`;
const tenants = `tenants:
  acme: { keys: { ci: { key: ${acme}, scopes: [deploy, read, invoke] }, reader: { key: ${reader}, scopes: [read] } }, functions: 20 }
  other: { keys: {} }
`;

let folder: string;
let serving: Serving;
let browser: Browser;
let address: string;

before(async () => {
  if (withoutBrowser !== false) return;
  folder = await mkdtemp(join(tmpdir(), "mayfly-functions-page-"));
  await writeFile(join(folder, "package.json"), "{}");
  await writeFile(join(folder, "mayfly.yaml"), yaml);
  await writeFile(join(folder, "tenants.yaml"), tenants);
  serving = await serve({ file: join(folder, "mayfly.yaml"), logger: silentLogger });
  address = `http://127.0.0.1:${serving.gateway.admin.address?.port}/`;
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await serving?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function visit(key: string, options: TabOptions, run: (page: Page) => Promise<void>): Promise<void> {
  const tab = await openTab(browser, options);
  try {
    await enter(tab.page, address, key);
    await run(tab.page);
    deepEqual(tab.errors, []);
  } finally {
    await tab.context.close();
  }
}

async function show(page: Page, hash: string): Promise<void> {
  await page.goto(`${address}${hash}`);
  await page.locator("h1").first().waitFor();
}

/** Puts a text in the place of the editor's. */
async function write(page: Page, code: string): Promise<void> {
  const editor = page.getByLabel("Flow in TypeScript");
  await editor.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(code);
}

const flowOf = (reply: string): string =>
  `import { flow } from "mayfly";\nexport default flow((msg, { log }) => {\n  log.info("called");\n  return "${reply} " + msg.text();\n});\n`;

async function call(name: string, body: string): Promise<string> {
  return (await fetch(`${serving.url}/acme/${name}`, { method: "POST", body })).text();
}

test("a tenant's key opens its functions alone: one is written, tried, deployed, and deployed again", skip, async () => {
  await visit(acme, {}, async (page) => {
    await page.getByRole("heading", { name: "Functions" }).waitFor();
    deepEqual(await page.getByRole("navigation").getByRole("link").allInnerTexts(), ["Functions"]);
    await page.getByText("No function is deployed.").waitFor();
    await page.getByRole("link", { name: "New function" }).click();
    await page.getByRole("button", { name: "Try" }).click();
    await page.getByText('{"text":"hello Ada"}').waitFor();
    await page.getByText("info greeted").waitFor();
    match(await page.getByLabel(/^Recording/).innerText(), /^deliver\n→ log info: greeted\n→ done, reply 200/);
    equal(await call("hello", "x"), await call("none", "x"), "what is tried is not served");

    await write(page, 'import { flow } from "mayfly";\nexport default flow((msg) => msg.nothing());\n');
    await page.getByRole("button", { name: "Try" }).click();
    await page
      .getByRole("alert")
      .getByText(/nothing/)
      .waitFor();
    await write(page, flowOf("first"));
    await page.getByRole("button", { name: "Deploy" }).click();
    await page.getByRole("heading", { name: /hello/ }).waitFor();
    equal(await call("hello", "Ada"), "first Ada");
    await page.getByText("called").first().waitFor();

    await page.getByRole("link", { name: "Write the next version" }).click();
    await write(page, flowOf("second"));
    await page.getByRole("button", { name: "Deploy" }).click();
    await page.getByText("version 2", { exact: true }).waitFor();
    equal(await call("hello", "Ada"), "second Ada");
    await page.getByRole("button", { name: "Serve" }).click();
    await page.getByText("version 1", { exact: true }).waitFor();
    equal(await call("hello", "Ada"), "first Ada");
    await page.getByRole("button", { name: "Canary" }).click();
    await page.getByLabel(/Share of the messages/).fill("20");
    await page.getByRole("button", { name: "Begin" }).click();
    await page.getByText("gets 20 %", { exact: true }).waitFor();
    await page.getByRole("button", { name: "End canary" }).click();
    await page.getByText("gets 20 %", { exact: true }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Functions" }).first().click();
    await page.getByRole("row", { name: /hello 1/ }).waitFor();
  });
});

test("a key that may only read is told so; the operator sees every tenant; a reload keeps who is there", skip, async () => {
  await visit(reader, {}, async (page) => {
    await page.getByRole("link", { name: "New function" }).click();
    await page.getByRole("button", { name: "Try" }).click();
    await page.getByText("MF_SCOPE_DENIED").waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Write" }).waitFor();
    await page.getByRole("button", { name: "Leave" }).click();
    await page.getByRole("heading", { name: "Admin token" }).waitFor();
    equal(await page.evaluate("sessionStorage.length"), 0);
  });
  await visit(token, {}, async (page) => {
    await page.getByRole("navigation").getByRole("link", { name: "Functions" }).click();
    await page.getByLabel("Tenant").selectOption("other");
    await page.getByText("No function is deployed.").waitFor();
    await show(page, "#/functions/none?tenant=acme");
    await page.getByText("There is no function none.").waitFor();
  });
});

test("a flow that does not end, and one that prints what it was not given, harm their trial alone", skip, async () => {
  await visit(acme, {}, async (page) => {
    await show(page, "#/write");
    await write(page, 'import { flow } from "mayfly";\nexport default flow(() => { for (;;); });\n');
    await page.getByRole("button", { name: "Try" }).click();
    await page
      .getByText(/MF_CPU_LIMIT/)
      .first()
      .waitFor();
    await write(page, 'import { flow } from "mayfly";\nexport default flow((msg) => "<img src=x onerror=alert(1)>" + msg.text());\n');
    await page.getByRole("button", { name: "Try" }).click();
    await page.getByText("<img src=x onerror=alert(1)>").waitFor();
    equal(await page.locator("img").count(), 0);
  });
});

for (const theme of ["dark", "light"] as const)
  for (const width of [1440, 390])
    test(`axe finds nothing on the screens of functions, and nothing is wider than the window: ${theme}, ${width} px`, skip, async () => {
      await visit(token, { theme, width, height: 844 }, async (page) => {
        const screens = ["#/functions?tenant=acme", "#/functions/hello?tenant=acme", "#/functions?tenant=other", "#/write?tenant=acme"];
        for (const hash of screens) {
          await show(page, hash);
          await page.locator(".loading").first().waitFor({ state: "detached" });
          if (hash.startsWith("#/write")) {
            await page.getByRole("button", { name: "Try" }).click();
            await page.getByText("hello Ada").waitFor();
          }
          deepEqual(await violations(page), [], hash);
          ok(((await page.evaluate("document.documentElement.scrollWidth - innerWidth")) as number) <= 0, `${hash} is too wide`);
        }
      });
    });
