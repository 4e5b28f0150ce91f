/** The form in a real browser, where there is one, and by hand. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";
import { openBrowser, withoutBrowser } from "../test/page/browser.ts";
import { type Downstream, downstream, type ServedExample, serveExample } from "./testing.ts";

const sample = join(packageRoot, "examples/upload/samples/prices.csv");
let peer: Downstream;
let example: ServedExample;

before(async () => {
  peer = await downstream();
  example = await serveExample("upload", { CATALOGUE_URL: `${peer.url}/prices` });
});
after(async () => {
  await example?.stop();
  await peer?.close();
});

async function upload(content: string | Buffer, name = "prices.csv"): Promise<{ readonly status: number; readonly page: string }> {
  const form = new FormData();
  form.append("file", new Blob([content], { type: "text/csv" }), name);
  const response = await fetch(`${example.url}/prices`, { method: "POST", body: form });
  return { status: response.status, page: await response.text() };
}

test("the flow tests pass", async () => {
  const { code, out } = await capture(["test", join(packageRoot, "examples/upload")]);
  equal(code, 0, out);
});

test("a browser uploads the sample: two prices reach the catalogue, three rows are shown with their reasons", {
  skip: withoutBrowser,
}, async () => {
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(`${example.url}/prices`);
    await page.getByLabel("Prices, as a CSV file").setInputFiles(sample);
    await page.getByRole("button", { name: "Upload" }).click();
    equal(await page.locator("#taken").textContent(), "2 taken, 3 refused.");
    deepEqual(await page.locator("tbody tr").allInnerTexts(), [
      "4\tDESK; 99,00; 01.01.2027\tDESK is not an article such as LAMP-7",
      "5\tCHAIR-2; 12.5; 01.01.2027\t12.5 is not a price such as 1.234,50",
      "6\tSHELF-3; 89,90; 31.02.2027\t31.02.2027 is not a day such as 31.12.2026",
    ]);
  } finally {
    await browser.close();
  }
  deepEqual(await peer.until("/prices", 1), [
    {
      prices: [
        { sku: "LAMP-7", cents: 123450, validFrom: "2027-01-01" },
        { sku: "PEN-1", cents: 95, validFrom: "2027-01-01" },
      ],
    },
  ]);
});

test("many rows are several requests; what a row says is no part of the page", async () => {
  const before = peer.received.length;
  const rows = Array.from({ length: 250 }, (_, index) => `PEN-${index};1,00;01.01.2027`);
  const { status, page } = await upload(`sku;price;valid\n${rows.join("\n")}\n<script>alert(1)</script>;1,00;01.01.2027\n`);
  equal(status, 200);
  match(page, /250 taken, 1 refused/);
  equal(page.includes("<script>"), false);
  match(page, /&#60;script&#62;/);
  const batches = (await peer.until("/prices", before + 3)).slice(before) as { readonly prices: readonly { readonly sku: string }[] }[];
  deepEqual(batches.map(({ prices }) => prices.length).sort(), [100, 100, 50]);
  equal(new Set(batches.flatMap(({ prices }) => prices.map(({ sku }) => sku))).size, 250);
});

test("a spreadsheet's windows-1252 is read; a missing file and a file that is no CSV are told", async () => {
  const { page } = await upload(Buffer.from("sku;price;valid\nT\xfcR-1;1,00;01.01.2027\n", "latin1"));
  match(page, /TüR-1 is not an article/);
  const broken = await upload('sku;price;valid\n"PEN-1;1,00', "broken.csv");
  deepEqual([broken.status, /broken\.csv is not a CSV file: .+/.test(broken.page)], [400, true]);
  equal((await upload("", "")).status, 400);
  ok((await readFile(sample, "utf8")).startsWith("sku;price;valid\n"));
});
