/** Chromium, where it is installed: the page's tests need a real one. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { token } from "./shop.ts";

const path = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Why tests with a browser are skipped; false where they run. */
export const withoutBrowser: string | false = existsSync(path)
  ? false
  : "no Chromium at /usr/bin/chromium: apt-get install chromium, or set CHROMIUM";

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"] });
}

export interface Tab {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of the page and refusals of its policy. */
  readonly errors: string[];
}

export interface TabOptions {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: "dark" | "light";
}

export async function openTab(browser: Browser, { width = 1440, height = 900, theme = "dark" }: TabOptions = {}): Promise<Tab> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: "reduce",
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(message.text());
  });
  page.setDefaultTimeout(30_000); // a test that fails waits as long; a busy computer has time
  return { page, context, errors };
}

/** Types the token in, as people do. */
export async function enter(page: Page, address: string, typed = token): Promise<void> {
  await page.goto(address);
  await page.getByLabel("Token").fill(typed);
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("navigation").waitFor();
}
