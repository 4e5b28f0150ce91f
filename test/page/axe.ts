/** Accessibility as axe judges it: WCAG 2.1 AA and its best practice. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { withoutBrowser } from "./browser.ts";

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

const axe = withoutBrowser === false ? readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8") : "";
const check =
  "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then(({ violations }) => violations)";

/** One line for each; none for a page that is well. */
export async function violations(page: Page): Promise<string[]> {
  if ((await page.evaluate("typeof window.axe")) === "undefined") await page.evaluate(axe);
  const found = (await page.evaluate(check)) as Violation[];
  return found.flatMap(({ id, nodes }) =>
    nodes.slice(0, 3).map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`),
  );
}
