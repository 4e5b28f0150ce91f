/** `npm run screenshots`: pictures of the page for docs/, of a shop with orders that are always the same. Times and rates are today's. */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { packageRoot } from "#cli";
import { enter, openBrowser, openTab, type TabOptions, withoutBrowser } from "./browser.ts";
import { openShop, type Shop } from "./shop.ts";

const folder = join(packageRoot, "docs", "pictures");
/** Longest picture. */
const longest = 150 * 1024;

interface Picture {
  readonly name: string;
  readonly hash: string;
  /** The page behind a link, instead of the dashboard. */
  readonly link?: (shop: Shop) => string;
  readonly options?: TabOptions;
  /** Before the picture is taken. */
  readonly ready?: (page: Page) => Promise<void>;
}

const openFirst =
  (link: string, heading: string) =>
  async (page: Page): Promise<void> => {
    await page.locator(link).first().click();
    await page.getByRole("heading", { name: heading }).first().waitFor();
  };

const pictures: readonly Picture[] = [
  { name: "overview", hash: "#/overview" },
  { name: "overview-light", hash: "#/overview", options: { theme: "light" } },
  { name: "map", hash: "#/map", options: { height: 560 } },
  { name: "flow", hash: "#/flows/orders" },
  { name: "messages", hash: "#/messages" },
  { name: "message", hash: "#/messages?flow=orders&status=done", ready: openFirst("a[href^='#/messages/orders']", "In and out") },
  {
    name: "message-dead",
    hash: "#/messages?flow=mails&status=dead",
    options: { height: 560 },
    ready: openFirst("a[href^='#/messages/mails']", "Life"),
  },
  {
    name: "dead-letters",
    hash: "#/dead-letters",
    ready: async (page) => {
      await page.getByRole("button", { name: "Retry…" }).first().click();
      await page.locator(".preview").waitFor();
    },
  },
  { name: "sleeper", hash: "#/sleepers?flow=refunds", ready: openFirst("a[href^='#/sleepers/refunds']", "If nobody answers") },
  {
    name: "approval",
    hash: "",
    link: ({ serving, questions }) => `${serving.url}${[...questions.values()][0]}`,
    options: { theme: "light", width: 900 },
  },
  {
    name: "write",
    hash: "#/write",
    ready: async (page) => {
      await page.getByLabel("Flow in TypeScript").waitFor();
      await page.getByRole("button", { name: "Try" }).click();
      await page.getByText('{"text":"hello Ada"}').waitFor();
    },
  },
  { name: "connectors", hash: "#/connectors", options: { height: 560, theme: "light" } },
  { name: "narrow", hash: "#/overview", options: { width: 390, height: 844 } },
];

/** `PICTURES=sleeper,map`: those alone. */
const wanted = process.env["PICTURES"]?.split(",");

/** Traffic as fast as the shop likes, for so many seconds, so that charts have a past. */
async function trade(shop: Shop, seconds: number): Promise<void> {
  const untilMs = Date.now() + seconds * 1000;
  for (let number = 40; Date.now() < untilMs; number += 4) {
    await shop.traffic(number, 4);
    await new Promise((resolve) => setTimeout(resolve, 120 + 90 * Math.sin(number / 30)));
  }
}

async function take(
  shop: Shop,
  browser: Awaited<ReturnType<typeof openBrowser>>,
  { name, hash, link, options, ready }: Picture,
): Promise<void> {
  const { page, context } = await openTab(browser, { width: 1200, height: 740, ...options });
  try {
    if (link === undefined) await enter(page, shop.page);
    await page.goto(link?.(shop) ?? `${shop.page}${hash}`);
    await page.locator("h1").first().waitFor();
    await page.locator(".loading").first().waitFor({ state: "detached" });
    await ready?.(page);
    await page.mouse.move(0, 0);
    await page.waitForTimeout(1_200); // charts and the list are drawn
    const path = join(folder, `${name}.png`);
    await page.screenshot({ path });
    const { size } = statSync(path);
    console.log(`${name}.png ${Math.round(size / 1024)} KiB`);
    if (size > longest) throw new Error(`${path} is longer than ${longest} bytes: take less into the picture`);
  } finally {
    await context.close();
  }
}

if (withoutBrowser !== false) {
  console.error(`mayfly: ${withoutBrowser}`);
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const shop = await openShop();
const browser = await openBrowser();
try {
  await shop.traffic(0, 40);
  for (const [order, customer, cents] of [
    ["R-4711", "Ada Lovelace", 64_000],
    ["R-4712", "Grace Hopper", 3_890],
  ] as const)
    await shop.post("/refunds", { order, customer, cents });
  await trade(shop, Number(process.env["PICTURE_SECONDS"] ?? 60));
  const trading = trade(shop, 25);
  for (const picture of pictures) if (wanted?.includes(picture.name) !== false) await take(shop, browser, picture);
  await trading;
} finally {
  await browser.close();
  await shop.close();
}
